#include "coordinator/progress.h"

#include "common/say.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const ns_t BAR_EVERY = NS_S / 10, LINE_EVERY = 10 * NS_S, JSON_EVERY = NS_S;

void format_count(uint64_t n, char *out, size_t cap)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    size_t k = 0;
    for (int i = 0; i < len && k + 2 < cap; i++) {
        if (i && (len - i) % 3 == 0) out[k++] = ',';
        out[k++] = digits[i];
    }
    if (cap) out[k] = 0;
}

void format_bytes(double n, char *out, size_t cap)
{
    static const char *unit[] = { "B", "kB", "MB", "GB", "TB" };
    int u = 0;
    while (n >= 1000 && u < 4)
        n /= 1000, u++;
    snprintf(out, cap, u == 0 ? "%.0f %s" : "%.1f %s", n, unit[u]);
}

void format_seconds(double s, char *out, size_t cap)
{
    long t = (long)(s + 0.5);
    if (s < 60)
        snprintf(out, cap, "%.0fs", s);
    else if (t < 3600)
        snprintf(out, cap, "%ldm %02lds", t / 60, t % 60);
    else
        snprintf(out, cap, "%ldh %02ldm", t / 3600, t / 60 % 60);
}

void progress_init(struct progress *p, enum job_progress mode, bool quiet, ns_t now)
{
    *p = (struct progress){ .mode = mode, .quiet = quiet, .started = now };
    p->terminal = mode == PROGRESS_AUTO && !quiet && isatty(STDERR_FILENO);
    p->next = now + (mode == PROGRESS_JSON ? JSON_EVERY
                     : p->terminal         ? BAR_EVERY
                                           : LINE_EVERY);
}

void progress_label(struct progress *p, const char *label, bool bar)
{
    p->label = label;
    if (bar || !p->terminal) return;
    p->terminal = false;
    p->next = p->started + LINE_EVERY;
}

static double share(const struct progress_view *v)
{
    if (!v->bytes_total) return -1;
    double s = (double)v->bytes_done / (double)v->bytes_total;
    return s > 1 ? 1 : s;
}

static double seconds_left(const struct progress *p, const struct progress_view *v,
                           ns_t now)
{
    double done = share(v), took = (double)(now - p->started) / (double)NS_S;
    return done > 0.001 ? took * (1 - done) / done : -1;
}

void progress_render(const struct progress *p, const struct progress_view *v, ns_t now,
                     char *out, size_t cap)
{
    double took = (double)(now - p->started) / (double)NS_S, done = share(v);
    if (took <= 0) took = 1e-9;
    char rows[32], rate[32], speed[32], bytes[40] = "", eta[32] = "", percent[16] = "",
                                        rejects[48] = "", failing[90] = "";
    format_count(v->rows, rows, sizeof rows);
    format_count((uint64_t)((double)v->rows / took), rate, sizeof rate);
    format_bytes((double)v->bytes_done / took, speed, sizeof speed);
    if (!v->in_rows) snprintf(bytes, sizeof bytes, "  %s/s", speed);
    if (done >= 0) snprintf(percent, sizeof percent, "%3.0f%%  ", done * 100);
    double left = seconds_left(p, v, now);
    if (left >= 0 && !v->failing) { // bisecting says nothing about all the rest
        char t[24];
        format_seconds(left, t, sizeof t);
        snprintf(eta, sizeof eta, "  ETA %s", t);
    }
    if (v->rejects) {
        char n[32];
        format_count(v->rejects, n, sizeof n);
        snprintf(rejects, sizeof rejects, "  %s rejected", n);
    }
    if (v->failing) {
        char n[32];
        format_count(v->failing, n, sizeof n);
        snprintf(failing, sizeof failing, "  %s batch%s failed, looking for the rows", n,
                 v->failing == 1 ? "" : "es");
    }
    snprintf(out, cap, "%.100s%s%s%s rows  %s rows/s%s%s  %u worker%s%s%s%s%s",
             p->label ? p->label : "", p->label ? ": " : "", percent, rows, rate, bytes,
             eta, v->workers, v->workers == 1 ? "" : "s", rejects, failing,
             v->waits_for ? "  waiting: " : "", v->waits_for ? v->waits_for : "");
}

void progress_render_json(const struct progress *p, const struct progress_view *v, ns_t now,
                          char *out, size_t cap)
{
    double took = (double)(now - p->started) / (double)NS_S, left = seconds_left(p, v, now);
    char eta[32] = "null", total[32] = "null";
    if (left >= 0) snprintf(eta, sizeof eta, "%.1f", left);
    if (v->bytes_total)
        snprintf(total, sizeof total, "%llu", (unsigned long long)v->bytes_total);
    snprintf(
        out, cap,
        "{\"progress\":{\"seconds\":%.1f,\"rows\":%llu,\"bytes\":%llu,\"bytes_total\":%s,"
        "\"eta_seconds\":%s,\"workers\":%u,\"busy\":%u,\"rejected\":%llu}}",
        took, (unsigned long long)v->rows,
        v->in_rows ? 0 : (unsigned long long)v->bytes_done, v->in_rows ? "null" : total,
        eta, v->workers, v->slots_busy, (unsigned long long)v->rejects);
}

static void clear_bar(struct progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

static void draw_bar(struct progress *p, const char *text, double done)
{
    struct winsize w = { 0 };
    size_t width =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1 : 79;
    char bar[24] = "";
    if (done >= 0 && width >= 100) {
        int full = (int)(done * 20);
        for (int i = 0; i < 20; i++)
            bar[i] = i < full ? '#' : '.';
        bar[20] = ' ';
        bar[21] = 0;
    }
    clear_bar(p);
    say_to(stderr, "%s%.*s", bar, (int)(width - strlen(bar)), text);
    fflush(stderr);
    p->shown = true;
}

ns_t progress_tick(struct progress *p, const struct progress_view *v, ns_t now)
{
    if (p->mode == PROGRESS_NONE || p->quiet) return NS_NEVER;
    if (now < p->next) return p->next;
    char text[512];
    if (p->mode == PROGRESS_JSON) {
        progress_render_json(p, v, now, text, sizeof text);
        fprintf(stderr, "%s\n", text);
        p->next = now + JSON_EVERY;
    } else {
        progress_render(p, v, now, text, sizeof text);
        if (p->terminal)
            draw_bar(p, text, share(v));
        else
            say_to(stderr, "%s\n", text);
        p->next = now + (p->terminal ? BAR_EVERY : LINE_EVERY);
    }
    return p->next;
}

void progress_say(struct progress *p, const char *text)
{
    clear_bar(p);
    if (p->label) say_to(stderr, "%s: ", p->label);
    say_line(stderr, text);
}

void progress_end(struct progress *p)
{
    clear_bar(p);
    fflush(stderr);
}

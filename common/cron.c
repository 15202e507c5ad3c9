#include "common/cron.h"

#include "common/suggest.h"
#include "common/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                           "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const day_names[] = { "sun", "mon", "tue", "wed",
                                         "thu", "fri", "sat", NULL };

static const struct field {
    const char *name;
    unsigned min, max;
    const char *const *names; // of min, min + 1, ...
} fields[5] = {
    { "minute", 0, 59, NULL },           { "hour", 0, 23, NULL },
    { "day of the month", 1, 31, NULL }, { "month", 1, 12, month_names },
    { "weekday", 0, 7, day_names },
};

static const struct word {
    const char *word, *line;
} words[] = {
    { "hourly", "0 * * * *" },  { "daily", "0 0 * * *" },  { "weekly", "0 0 * * 1" },
    { "monthly", "0 0 1 * *" }, { "yearly", "0 0 1 1 *" },
};
enum { N_WORDS = sizeof words / sizeof *words };

// ---- reading ----

static _Thread_local char sentence[400];

__attribute__((format(printf, 1, 2))) static const char *wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    return sentence;
}

static const char *what_it_takes(const struct field *f, char out[80])
{
    snprintf(out, 80, "%u to %u%s%s%s%s", f->min, f->max, f->names ? " or " : "",
             f->names ? f->names[0] : "", f->names ? " to " : "",
             f->names ? f->names[f->names == day_names ? 6 : 11] : "");
    return out;
}

static const char *wrong_part(const struct field *f, const char *p, size_t n)
{
    char part[64], shown[TEXT_QUOTED], takes[80];
    struct suggest s = { .word = part };
    snprintf(part, sizeof part, "%.*s", (int)(n < 60 ? n : 60), p);
    for (const char *const *x = f->names; x && *x; x++)
        suggest_offer(&s, *x);
    return wrong("has %s as %s, which takes %s%s%s%s", text_quoted(part, shown), f->name,
                 what_it_takes(f, takes), s.best ? "; did you mean '" : "",
                 s.best ? s.best : "", s.best ? "'?" : "");
}

// A number or a name at *p. False: neither.
static bool number(const struct field *f, const char **p, const char *end, unsigned *out)
{
    size_t n = 0, left = (size_t)(end - *p);
    for (unsigned i = 0; f->names && f->names[i]; i++)
        if (left >= 3 && strncasecmp(*p, f->names[i], 3) == 0) {
            *out = f->min + i;
            *p += 3;
            return true;
        }
    for (*out = 0; n < left && n < 3 && isdigit((unsigned char)(*p)[n]); n++)
        *out = *out * 10 + (unsigned)((*p)[n] - '0');
    *p += n;
    return n && *out >= f->min && *out <= f->max;
}

static const char *read_step(const struct field *f, const char *p, const char *end,
                             unsigned *step)
{
    const struct field count = { f->name, 1, f->max, NULL };
    if (p == end) return NULL;
    p++;
    if (number(&count, &p, end, step) && p == end) return NULL;
    return wrong("has a step in the %s that is none; e.g. */%u", f->name,
                 f->max > 24 ? 15 : 2);
}

// One of the things between commas: *, a, a-b, the first and the last also with /step.
static const char *read_part(const struct field *f, const char *p, size_t n, uint64_t *bits)
{
    const char *begin = p, *end = p + n, *slash = memchr(p, '/', n);
    const char *stop = slash ? slash : end;
    unsigned from = f->min, to = f->max, step = 1;
    bool range = true;
    if (n && *p == '*')
        p++;
    else {
        if (!number(f, &p, stop, &from)) return wrong_part(f, begin, n);
        to = from;
        range = p < stop && *p == '-';
        if (range && (p++, !number(f, &p, stop, &to))) return wrong_part(f, begin, n);
    }
    if (p != stop) return wrong_part(f, begin, n);
    if (slash && !range)
        return wrong("has a step behind a single %s; it stands behind * or a range, e.g. "
                     "%u-%u/2",
                     f->name, from, f->max);
    if (from > to)
        return wrong("has a range of the %s that runs backwards; write %u-%u,%u-%u",
                     f->name, from, f->names == day_names ? 6 : f->max, f->min, to);
    const char *why = read_step(f, stop, end, &step);
    if (why) return why;
    for (unsigned i = from; i <= to; i += step)
        *bits |= 1ull << i;
    return NULL;
}

static const char *read_field(const struct field *f, const char *p, size_t n,
                              uint64_t *bits)
{
    *bits = 0;
    for (const char *end = p + n;; p++) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        const char *why = read_part(f, p, (size_t)(stop - p), bits);
        if (why || !comma) return why;
        p = comma;
    }
}

// "30 2" is a day that never comes.
static bool ever(const struct cron *c)
{
    static const unsigned longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (!c->any_weekday && !c->any_day) return true;
    for (unsigned m = 1; m <= 12; m++)
        if (c->months >> m & 1 && c->days & ((2ull << longest[m - 1]) - 1)) return true;
    return false;
}

static const char *read_line(const char *line, struct cron *c)
{
    const char *p = line;
    uint64_t bits[5];
    bool star[5];
    for (int i = 0; i < 5; i++) {
        size_t n = strcspn(p, " ");
        star[i] = *p == '*';
        const char *why = read_field(&fields[i], p, n, &bits[i]);
        if (why) return why;
        p += n + (p[n] == ' ');
    }
    c->minutes = bits[0];
    c->hours = (uint32_t)bits[1];
    c->days = (uint32_t)bits[2];
    c->months = (uint32_t)bits[3];
    c->weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f);
    c->any_hour = star[1], c->any_day = star[2];
    c->any_month = star[3], c->any_weekday = star[4];
    return ever(c) ? NULL : "never comes: no such month has that day";
}

static const char *no_line(const char *text, unsigned n)
{
    struct suggest s = { .word = text[0] == '@' ? text + 1 : text };
    for (int i = 0; i < N_WORDS; i++)
        suggest_offer(&s, words[i].word);
    if (n == 1 && s.best) return wrong("is no schedule; did you mean '%s'?", s.best);
    return wrong("is no schedule: it has %u field%s; give hourly, daily, weekly, monthly, "
                 "yearly, or the five fields minute hour day month weekday, e.g. '0 3 * * "
                 "1'",
                 n, n == 1 ? "" : "s");
}

const char *cron_parse(const char *text, struct cron *out)
{
    unsigned n = 0;
    size_t k = 0;
    *out = (struct cron){ 0 };
    if (strlen(text) >= CRON_LINE_MAX) return "is too long for a schedule";
    for (const char *p = text + strspn(text, " \t"); *p; p += strspn(p, " \t")) {
        size_t len = strcspn(p, " \t");
        if (n++) out->line[k++] = ' ';
        memcpy(out->line + k, p, len);
        k += len;
        p += len;
    }
    for (int i = 0; i < N_WORDS; i++)
        if (strcmp(out->line, words[i].word) == 0) {
            snprintf(out->line, sizeof out->line, "%s", words[i].line);
            n = 5;
        }
    return n == 5 ? read_line(out->line, out) : no_line(out->line, n);
}

// ---- the next time ----

static bool day_fits(const struct cron *c, const struct tm *t)
{
    bool day = c->days >> t->tm_mday & 1, weekday = c->weekdays >> t->tm_wday & 1;
    if (!(c->months >> (t->tm_mon + 1) & 1)) return false;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

// Midnight of the day after; later where the clock leaves that out.
static time_t next_day(time_t at, struct tm t)
{
    t.tm_mday++;
    t.tm_hour = t.tm_min = t.tm_sec = 0;
    t.tm_isdst = -1;
    time_t next = mktime(&t);
    return next > at ? next : at + 3600;
}

// Whether the clock has shown this time already: it was put back since.
static bool shown_before(time_t at, const struct tm *t)
{
    for (int half_hours = 1; half_hours <= 4; half_hours++) {
        struct tm b;
        time_t before = at - half_hours * 1800;
        localtime_r(&before, &b);
        if (b.tm_mday == t->tm_mday && b.tm_hour == t->tm_hour && b.tm_min == t->tm_min)
            return true;
    }
    return false;
}

int64_t cron_next(const struct cron *c, int64_t after)
{
    enum { DAYS = 8 * 366 + 2 };
    time_t at = (time_t)(after - after % 60 + 60), end = at + (time_t)DAYS * 86400;
    while (at < end) {
        struct tm t;
        if (!localtime_r(&at, &t)) return -1;
        if (!day_fits(c, &t))
            at = next_day(at, t);
        else if (!(c->hours >> t.tm_hour & 1))
            at += 3600 - t.tm_min * 60 - t.tm_sec;
        else if (c->minutes >> t.tm_min & 1 && (c->any_hour || !shown_before(at, &t)))
            return at - t.tm_sec;
        else
            at += 60 - t.tm_sec;
    }
    return -1;
}

const char *cron_time(int64_t s, char out[CRON_TIME])
{
    time_t t = (time_t)s;
    struct tm tm;
    if (!localtime_r(&t, &tm) || !strftime(out, CRON_TIME, "%Y-%m-%d %H:%M", &tm))
        snprintf(out, CRON_TIME, "?");
    return out;
}

// ---- for systemd ----

// Numbers and ranges of them: "1,3..5". Weekdays by their names.
static err_t list(struct buf *out, uint64_t bits, const char *const *names, struct err *e)
{
    bool any = false;
    for (unsigned i = 0; i < 64; i++) {
        unsigned to = i;
        if (!(bits >> i & 1)) continue;
        while (to < 63 && bits >> (to + 1) & 1)
            to++;
        if (any) TRY(buf_printf(out, e, ","));
        TRY(names ? buf_printf(out, e, "%s", names[i]) : buf_printf(out, e, "%02u", i));
        if (to > i)
            TRY(names ? buf_printf(out, e, "..%s", names[to])
                      : buf_printf(out, e, "..%02u", to));
        any = true;
        i = to;
    }
    return ERR_OK;
}

static err_t calendar(const struct cron *c, bool days, bool weekdays, struct buf *out,
                      struct err *e)
{
    static const char *const names[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
    uint32_t all_days = 0xfffffffe, all_months = 0x1ffe, all_hours = 0xffffff;
    if (weekdays && c->weekdays != 0x7f) {
        TRY(list(out, c->weekdays >> 1 | (c->weekdays & 1) << 6, names, e));
        TRY(buf_printf(out, e, " "));
    }
    TRY(buf_printf(out, e, "*-"));
    TRY(c->months == all_months ? buf_printf(out, e, "*") : list(out, c->months, NULL, e));
    TRY(buf_printf(out, e, "-"));
    TRY(!days || c->days == all_days ? buf_printf(out, e, "*")
                                     : list(out, c->days, NULL, e));
    TRY(buf_printf(out, e, " "));
    TRY(c->hours == all_hours ? buf_printf(out, e, "*") : list(out, c->hours, NULL, e));
    TRY(buf_printf(out, e, ":"));
    TRY(list(out, c->minutes, NULL, e));
    return buf_printf(out, e, ":00\n");
}

err_t cron_systemd(const struct cron *c, struct buf *out, struct err *e)
{
    if (c->any_day || c->any_weekday) return calendar(c, true, true, out, e);
    TRY(calendar(c, true, false, out, e));
    return calendar(c, false, true, out, e);
}

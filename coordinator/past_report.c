#include "coordinator/past_report.h"

#include "common/say.h"
#include "coordinator/past_json.h"
#include "coordinator/past_say.h"
#include "coordinator/progress.h"
#include "coordinator/series.h"

#include <string.h>

enum { STEPS = 60, WORKERS_SHOWN = 30 };

// Eight heights of a bar; ' ' for nothing, '.' for what was not here.
static void say_bars(const double *v, uint32_t n, double top, FILE *out)
{
    static const char *const bars[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    for (uint32_t i = 0; i < n; i++) {
        int level = v[i] < 0 || top <= 0 ? 0 : (int)(v[i] / top * 8 + 0.5);
        if (level > 8) level = 8;
        if (!level && v[i] > 0) level = 1;
        say_to(out, "%s", v[i] < 0 ? "." : bars[level]);
    }
}

static void say_throughput(const struct past *p, int64_t end_ms, FILE *out)
{
    double v[STEPS];
    char most[32], span[PAST_SPAN];
    if (p->n_samples < 2) return;
    series_of(SERIES_ROWS, p->samples, p->n_samples, end_ms, v, STEPS);
    double max = series_max(v, STEPS);
    format_count((uint64_t)max, most, sizeof most);
    say_to(out, "\nrows a second, 0 to %s (0 to %s)\n  |", most, past_span(end_ms, span));
    say_bars(v, STEPS, max, out);
    say_to(out, "|\n");
}

static void say_timeline(const struct past *p, int64_t end_ms, FILE *out)
{
    double v[STEPS];
    uint32_t shown = 0;
    for (uint32_t i = 0; i < p->n_workers && shown < WORKERS_SHOWN; i++) {
        const struct journal_worker *w = &p->workers[i];
        if (!strcmp(w->role, "coordinator")) continue;
        if (!shown++) say_to(out, "\nhow busy workers were ('.': not here)\n");
        series_worker(w, end_ms, v, STEPS);
        say_to(out, "  |");
        say_bars(v, STEPS, 1, out);
        say_to(out, "| %s\n", w->name);
    }
}

static void say_slowest(const struct past *p, FILE *out)
{
    char name[400], took[PAST_SPAN];
    if (p->n_slowest)
        say_to(out, "\nslowest chunks (of those given out together the average)\n");
    for (uint32_t i = 0; i < p->n_slowest; i++) {
        const struct past_chunk *c = &p->slowest[i];
        say_to(out, "  %10s  %s on %s\n", past_span(c->ms, took),
               past_title(p, c, name, sizeof name), c->worker);
    }
}

static void say_rejects(const struct past *p, FILE *out)
{
    char rows[32];
    uint64_t bad = p->run.rows_rejected + p->run.rows_refused;
    if (!bad && !p->n_reasons) return;
    say_to(out, "\nrejected rows of this load, by reason\n");
    if (p->no_reasons) say_to(out, "  %s\n", p->no_reasons);
    for (uint32_t i = 0; i < p->n_reasons; i++) {
        format_count(p->reasons[i].rows, rows, sizeof rows);
        say_to(out, "  %12s  %s\n", rows, p->reasons[i].reason);
    }
}

static bool said_before(const struct past *p, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (!strcmp(p->workers[k].host, p->workers[i].host) &&
            !strcmp(p->workers[k].cpu, p->workers[i].cpu))
            return true;
    return false;
}

static void say_hardware(const struct past *p, FILE *out)
{
    char memory[32];
    if (p->n_workers) say_to(out, "\nhosts\n");
    for (uint32_t i = 0, n = 0; i < p->n_workers && n < WORKERS_SHOWN; i++) {
        const struct journal_worker *w = &p->workers[i];
        if (said_before(p, i)) continue;
        n++;
        format_bytes((double)w->memory_bytes, memory, sizeof memory);
        say_to(out, "  %s: %s, %u cores, %s\n", w->host, w->cpu, w->cores, memory);
    }
}

void past_report(const struct past *p, FILE *out)
{
    int64_t end = series_end_ms(p->samples, p->n_samples, p->workers, p->n_workers);
    past_say_head(p, out);
    past_say_balance(p, out);
    past_say_cache(p, out);
    say_throughput(p, end, out);
    say_timeline(p, end, out);
    past_say_workers(p, out);
    say_slowest(p, out);
    past_say_troubled(p, out);
    say_rejects(p, out);
    say_hardware(p, out);
}

void past_report_json(const struct past *p, FILE *out)
{
    fputc('{', out);
    past_json_run(p, out);
    fputs(",\"samples\":[", out);
    past_json_samples(p, out);
    fputs("],\"slowest\":[", out);
    past_json_chunks(p, p->slowest, p->n_slowest, out);
    fputs("],\"retried\":[", out);
    past_json_chunks(p, p->troubled, p->n_troubled, out);
    fputs("],\"rejects\":[", out);
    past_json_reasons(p, out);
    fputs("]}\n", out);
}

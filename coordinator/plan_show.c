#include "coordinator/plan_show.h"

#include "common/csv_value.h"
#include "common/infer.h"
#include "common/say.h"
#include "common/text.h"
#include "common/units.h"
#include "coordinator/plan_place.h"
#include "coordinator/progress.h"
#include "coordinator/report.h"

#include <string.h>

enum { TEXT = 40, FEW_REJECTS = 5 };
static const uint32_t workers_shown[] = { 1, 4, 16 };
#define N_SHOWN (sizeof workers_shown / sizeof *workers_shown)

static const char *count(uint64_t n, char out[TEXT])
{
    format_count(n, out, TEXT);
    return out;
}

static const char *bytes(double n, char out[TEXT])
{
    format_bytes(n, out, TEXT);
    return out;
}

static const char *seconds(double s, char out[TEXT])
{
    if (s < 60)
        snprintf(out, TEXT, s < 10 ? "%.2f s" : "%.0f s", s);
    else
        format_seconds(s, out, TEXT);
    return out;
}

// ---- types ----

// Numbers that would not be written again as they were.
static bool loses_its_form(const struct infer_column *c)
{
    return c->because[strspn(c->because, "+-0123456789.")] == 0;
}

static void because(const struct plan_found *f, uint32_t i, char *to, size_t size)
{
    uint32_t n;
    const struct infer_column *c = &source_evidence(f->plan->source, &n)[i];
    const struct column_extent *x = source_extents(f->plan->source);
    char where[PLAN_PLACE], shown[TEXT_QUOTED];
    *to = 0;
    if (!c->was) return;
    if (x && x[i].placed) plan_place(f->plan->source, x[i].input, x[i].byte, where);
    bool made_real = c->was == TYPE_INTEGER && f->plan->spec.in.f[i].type == TYPE_REAL;
    snprintf(to, size, "; %s %s%s%s%s%s", text_quoted(c->because, shown),
             made_real           ? "is no integer"
             : loses_its_form(c) ? "does not round-trip as "
                                 : "is no ",
             made_real ? "" : type_name(c->was), x && x[i].placed ? " (" : "",
             x && x[i].placed ? where : "", x && x[i].placed ? ")" : "");
}

void plan_evidence(const struct plan_found *f, uint32_t i, char out[PLAN_EVIDENCE])
{
    uint32_t n = 0;
    const struct infer_column *c = source_evidence(f->plan->source, &n);
    const struct column_extent *x = source_extents(f->plan->source);
    const struct field *of = &f->plan->spec.in.f[i];
    char values[TEXT], empty[TEXT], reach[2 * EXTENT_SHOWN + 16] = "",
                                                             why[240 + PLAN_PLACE];
    *out = 0;
    bool lines = f->job->source == SOURCE_LINES ||
                 (f->job->source == SOURCE_JSONL && f->job->fields.n == 0);
    if (lines) {
        snprintf(out, PLAN_EVIDENCE, "each line as it is%s",
                 f->job->source == SOURCE_JSONL ? "; --fields makes columns of members"
                                                : "");
        return;
    }
    if (!c || i >= n) {
        if (of->given) snprintf(out, PLAN_EVIDENCE, "as given");
        return;
    }
    if (c[i].values == 0) {
        snprintf(out, PLAN_EVIDENCE, "no value among %s sampled rows%s",
                 count(c[i].nulls, empty), of->given ? "; as given" : "");
        return;
    }
    bool ordered = x && x[i].values.least[0] && x[i].values.type == of->type;
    if (ordered)
        snprintf(reach, sizeof reach, ", %s .. %s", x[i].values.least, x[i].values.most);
    else if (x && of->type == TYPE_TEXT)
        snprintf(reach, sizeof reach, ", up to %zu bytes", x[i].values.longest);
    because(f, i, why, sizeof why);
    snprintf(out, PLAN_EVIDENCE, "%s %s sampled value%s%s, %s empty%s",
             of->given ? "as given;" : "in all", count(c[i].values, values),
             c[i].values == 1 ? "" : "s", reach, count(c[i].nulls, empty),
             of->given ? "" : why);
}

// ---- the prediction ----

static double wall(const struct plan_found *f, uint32_t slots, enum estimate_bound *b)
{
    return estimate_wall(&f->survey->estimate, slots, b);
}

static void say_rate(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct survey *s = f->survey;
    char rows[TEXT], rate[TEXT], read[TEXT];
    double w = wall(f, s->estimate.in.slots, NULL);
    snprintf(out, PLAN_LINE,
             "rows         %s%s%s%s, %s rows/s with the %u worker%s of this run",
             s->whole || s->counted ? "" : "about ", count(s->rows, rows),
             s->bytes > 0 ? " in " : "", s->bytes > 0 ? bytes(s->bytes, read) : "",
             count((uint64_t)((double)s->rows / (w > 1e-3 ? w : 1e-3)), rate),
             s->estimate.in.slots, s->estimate.in.slots == 1 ? "" : "s");
}

static void say_wall(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct estimate *x = &f->survey->estimate;
    enum estimate_bound b;
    char time[TEXT];
    int n = snprintf(out, PLAN_LINE, "wall time    ");
    bool own = true;
    for (size_t i = 0; i < N_SHOWN; i++) {
        own &= workers_shown[i] != x->in.slots;
        n += snprintf(out + n, PLAN_LINE - (size_t)n, "%s%u: %s", i ? ", " : "",
                      workers_shown[i], seconds(wall(f, workers_shown[i], NULL), time));
    }
    double mine = wall(f, x->in.slots, &b);
    n += snprintf(out + n, PLAN_LINE - (size_t)n, " (workers: time)");
    if (own)
        n += snprintf(out + n, PLAN_LINE - (size_t)n, "; this run, with %u: %s",
                      x->in.slots, seconds(mine, time));
    snprintf(out + n, PLAN_LINE - (size_t)n, "; held up by %s", estimate_bound_text(b));
}

static void say_memory(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct trial *t = &f->survey->last;
    char a[TEXT], b[TEXT], c[TEXT], d[TEXT];
    uint64_t share = f->job->worker_memory_bytes / (t->slots ? t->slots : 1);
    snprintf(out, PLAN_LINE,
             "memory       coordinator %s in the trial, at most %s of batches; a worker %s "
             "in the trial, at most %s",
             bytes((double)t->coordinator_kib * 1024, a),
             bytes((double)f->job->memory_bytes, b), bytes((double)t->runner_kib * 1024, c),
             bytes((double)share, d));
}

static void say_output(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct survey *s = f->survey;
    const struct trial *t = &s->last;
    char rows[TEXT], size[TEXT];
    double emitted = t->cost.rows ? (double)t->rows_emitted / (double)t->cost.rows : 0;
    snprintf(out, PLAN_LINE, "output       about %s rows, %s, into %s%s",
             count((uint64_t)(emitted * (double)s->rows + 0.5), rows),
             bytes((double)s->output_bytes, size), f->job->into_written,
             job_aggregates(f->job) ? " before they are merged into groups" : "");
}

static bool past_limit(const struct plan_found *f)
{
    const struct job *j = f->job;
    double bad = (double)f->survey->rejected;
    return j->bad_rows_share >= 0 ? bad > j->bad_rows_share * (double)f->survey->rows
                                  : bad > (double)j->bad_rows;
}

static void say_rejects(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct survey *s = f->survey;
    const struct trial *t = &s->last;
    char bad[TEXT], of[TEXT], all[TEXT];
    int n = snprintf(out, PLAN_LINE, "rejects      %s of %s rows tried",
                     count(t->rows_rejected, bad), count(t->cost.rows, of));
    if (t->rows_rejected == 0) return;
    bool few = t->rows_rejected < FEW_REJECTS && !s->whole;
    snprintf(out + n, PLAN_LINE - (size_t)n, " (%.3g %%), about %s in all%s%s",
             100 * (double)t->rows_rejected / (double)t->cost.rows, count(s->rejected, all),
             few ? ", or a tenth or five times as many: so few tell little" : "",
             past_limit(f) ? ": more than limits.bad_rows allows, exit code 4" : "");
}

static void say_reject(const struct plan_found *f, uint32_t i, char out[PLAN_LINE])
{
    const struct trial_reject *r = &f->survey->last.reject[i];
    char where[PLAN_PLACE];
    plan_place_of_reject(f->plan->source, &f->survey->excerpt, r, where);
    snprintf(out, PLAN_LINE, "             %s: %s%s%s: %s", where, r->column,
             r->column[0] ? ": " : "", r->reason, r->raw);
}

static void say_trials(const struct plan_found *f, char out[PLAN_LINE])
{
    const struct survey *s = f->survey;
    char rows[TEXT], time[TEXT];
    snprintf(out, PLAN_LINE, "trials       %u in %s, the largest of %s rows%s", s->trials,
             seconds(s->seconds, time), count(s->last.cost.rows, rows),
             s->whole ? ", which are all" : "");
}

bool plan_prediction(const struct plan_found *f, uint32_t i, char out[PLAN_LINE])
{
    static void (*const say[])(const struct plan_found *,
                               char[PLAN_LINE]) = { say_rate,   say_wall,   say_memory,
                                                    say_output, say_trials, say_rejects };
    enum { N = sizeof say / sizeof *say };
    if (!f->survey) return false;
    if (i < N) {
        say[i](f, out);
        return true;
    }
    if (i - N >= f->survey->last.n_rejects) return false;
    say_reject(f, i - N, out);
    return true;
}

// ---- for people ----

static void columns_human(const struct plan_found *f, FILE *out)
{
    char why[PLAN_EVIDENCE];
    const struct schema *in = &f->plan->spec.in, *rows = &f->plan->rows;
    say_to(out, "input\n");
    for (uint32_t i = 0; i < in->n; i++) {
        plan_evidence(f, i, why);
        say_to(out, "  %-24s %-10s%s%s\n", in->f[i].name, type_name(in->f[i].type),
               why[0] ? " " : "", why);
    }
    if (!f->job->n_steps && !job_aggregates(f->job)) return;
    say_to(out, "output\n");
    for (uint32_t i = 0; i < rows->n; i++)
        say_to(out, "  %-24s %s\n", rows->f[i].name, type_name(rows->f[i].type));
}

void plan_show_human(const struct plan_found *f, FILE *out)
{
    char line[PLAN_LINE];
    say_to(out, "%s\n", f->job->name);
    columns_human(f, out);
    if (f->survey) say_to(out, "prediction\n");
    for (uint32_t i = 0; plan_prediction(f, i, line); i++)
        say_to(out, "  %s\n", line);
    for (size_t i = 0; f->survey && i < f->survey->notes.n; i++)
        say_to(out, "  note: %s\n", f->survey->notes.v[i]);
    if (f->written) say_to(out, "written: %s\n", f->written);
}

// ---- for programs ----

static void columns_json(const struct plan_found *f, FILE *out)
{
    char why[PLAN_EVIDENCE];
    const struct schema *in = &f->plan->spec.in;
    fputs(",\"columns\":[", out);
    for (uint32_t i = 0; i < in->n; i++) {
        plan_evidence(f, i, why);
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        json_string(in->f[i].name, out);
        fprintf(out,
                ",\"type\":\"%s\",\"given\":%s,\"evidence\":", type_name(in->f[i].type),
                in->f[i].given ? "true" : "false");
        json_string(why, out);
        fputc('}', out);
    }
    fputs("],\"output_columns\":[", out);
    for (uint32_t i = 0; i < f->plan->rows.n; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", out);
        json_string(f->plan->rows.f[i].name, out);
        fprintf(out, ",\"type\":\"%s\"}", type_name(f->plan->rows.f[i].type));
    }
    fputc(']', out);
}

static void walls_json(const struct plan_found *f, FILE *out)
{
    enum estimate_bound b;
    uint32_t slots = f->survey->estimate.in.slots;
    double mine = wall(f, slots, &b);
    fprintf(out, ",\"workers\":%u,\"seconds\":%.4f,\"held_up_by\":", slots, mine);
    json_string(estimate_bound_text(b), out);
    fputs(",\"seconds_by_workers\":{", out);
    for (size_t i = 0; i < N_SHOWN; i++)
        fprintf(out, "%s\"%u\":%.4f", i ? "," : "", workers_shown[i],
                wall(f, workers_shown[i], NULL));
    fputc('}', out);
}

static void rejects_json(const struct plan_found *f, FILE *out)
{
    const struct trial *t = &f->survey->last;
    char where[PLAN_PLACE];
    fputs(",\"rejects\":[", out);
    for (uint32_t i = 0; i < t->n_rejects; i++) {
        plan_place_of_reject(f->plan->source, &f->survey->excerpt, &t->reject[i], where);
        fputs(i ? ",{\"where\":" : "{\"where\":", out);
        json_string(where, out);
        fputs(",\"column\":", out);
        json_string(t->reject[i].column, out);
        fputs(",\"reason\":", out);
        json_string(t->reject[i].reason, out);
        fputs(",\"raw\":", out);
        json_string(t->reject[i].raw, out);
        fputc('}', out);
    }
    fputc(']', out);
}

static void survey_json(const struct plan_found *f, FILE *out)
{
    const struct survey *s = f->survey;
    const struct trial *t = &s->last;
#define NUMBER(key, v) fprintf(out, ",\"%s\":%llu", key, (unsigned long long)(v))
    NUMBER("rows", s->rows);
    fprintf(out, ",\"rows_exact\":%s", s->whole || s->counted ? "true" : "false");
    NUMBER("bytes", s->bytes);
    walls_json(f, out);
    NUMBER("output_bytes", s->output_bytes);
    NUMBER("coordinator_memory", t->coordinator_kib * 1024);
    NUMBER("worker_memory", t->runner_kib * 1024);
    NUMBER("rows_tried", t->cost.rows);
    NUMBER("rows_rejected_tried", t->rows_rejected);
    NUMBER("rows_rejected", s->rejected);
    fprintf(out, ",\"past_bad_rows\":%s", past_limit(f) ? "true" : "false");
#undef NUMBER
    rejects_json(f, out);
    fputs(",\"notes\":[", out);
    for (size_t i = 0; i < s->notes.n; i++) {
        if (i) fputc(',', out);
        json_string(s->notes.v[i], out);
    }
    fputc(']', out);
}

void plan_show_json(const struct plan_found *f, FILE *out)
{
    fputs("{\"job\":", out);
    json_string(f->job->name, out);
    fprintf(out, ",\"status\":\"%s\"", f->error[0] ? "failed" : "planned");
    columns_json(f, out);
    if (f->survey) survey_json(f, out);
    if (f->written) {
        fputs(",\"written\":", out);
        json_string(f->written, out);
    }
    if (f->error[0]) {
        fputs(",\"error\":", out);
        json_string(f->error, out);
    }
    fputs("}\n", out);
}

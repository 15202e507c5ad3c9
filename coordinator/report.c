#include "coordinator/report.h"

#include "common/say.h"
#include "common/utf8.h"

#include <string.h>

enum { FILES_SHOWN = 20 };

void report_sum(const struct ledger_row *by_input, uint32_t n, struct balance *b)
{
    *b = (struct balance){ 0 };
    for (uint32_t i = 0; i < n; i++) {
        b->read += by_input[i].rows_read;
        b->parsed += by_input[i].rows_parsed;
        b->rejected += by_input[i].rows_rejected;
        b->emitted += by_input[i].rows_emitted;
        b->loaded += by_input[i].rows_loaded;
        b->refused += by_input[i].rows_refused;
        b->misfits += by_input[i].misfits;
        b->replaced += by_input[i].rows_replaced;
        b->skipped += by_input[i].rows_skipped;
    }
}

bool report_balances(const struct ledger_row *by_input, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct ledger_row *r = &by_input[i];
        if (r->rows_read != r->rows_parsed + r->rows_rejected) return false;
        if (r->rows_emitted != r->rows_loaded + r->rows_refused) return false;
    }
    return true;
}

static const char *count(uint64_t n, char *out)
{
    format_count(n, out, 32);
    return out;
}

// Paths of a job file are those of its folder; who reads this looks from the current one.
static const char *into_shown(const struct job *j)
{
    bool file = strncmp(j->into, "sqlite:", 7) == 0 || job_into_text(j);
    return file && j->dir && strcmp(j->dir, ".") != 0 ? j->into : j->into_written;
}

static void headline(const struct report *r, FILE *out)
{
    char rows[32], rate[32], time[32];
    const struct app_totals *t = r->run_totals;
    if (r->nothing_new && t->rows_loaded == 0) {
        say_to(out,
               "%s: nothing new since the last run; %s is as it was (--fresh "
               "starts over)\n",
               r->job->name, job_into_text(r->job) ? into_shown(r->job) : "the table");
        return;
    }
    double s = r->seconds > 0 ? r->seconds : 1e-9;
    if (r->seconds < 60)
        snprintf(time, sizeof time, "%.2f s", r->seconds);
    else
        format_seconds(r->seconds, time, sizeof time);
    bool table = !job_into_text(r->job);
    say_to(out, "%s: %s rows into %s%s%s%s in %s, %s rows/s%s\n", r->job->name,
           count(r->merge ? r->merge->rows_out : t->rows_loaded, rows), into_shown(r->job),
           table ? " (table " : "", table ? r->job->table : "", table ? ")" : "", time,
           count((uint64_t)((double)t->rows_read / s), rate),
           r->resumed ? "; continued an earlier run" : "");
}

static void file_line(const struct source_input *in, const struct ledger_row *row,
                      FILE *out)
{
    char read[32], loaded[32], rejected[32], bytes[32];
    format_bytes((double)(row->range.end - row->range.begin), bytes, sizeof bytes);
    say_to(out, "  %-40s %12s read %12s loaded %9s rejected  %s\n", in->name,
           count(row->rows_read, read), count(row->rows_loaded, loaded),
           count(row->rows_rejected + row->rows_refused, rejected), bytes);
}

static void where_rejects_are(const struct job *j, FILE *out)
{
    static const char columns[] = "(file, line, byte_offset, column, reason, raw)";
    if (strcmp(j->into, "null:") == 0) {
        say_to(out, "  rejected rows are not kept; a destination that keeps rows keeps "
                    "them, too\n");
    } else if (!job_into_text(j)) {
        say_to(out, "  rejected rows stand in %s_rejects %s\n", j->table, columns);
    } else if (strncmp(j->into, "stdout:", 7) == 0) {
        say_to(out, "  rejected rows are not kept; the first ones were named above\n");
    } else {
        const char *path = strchr(into_shown(j), ':') + 1, *star = strrchr(path, '*');
        say_to(out, "  rejected rows stand in %.*s%s.rejects %s\n",
               (int)(star ? (size_t)(star - path) : strlen(path)), path,
               star ? star + 1 : "", columns);
    }
}

// A kind of mistake that thousands of rows share is one mistake of the job.
static void most_often(const struct report *r, FILE *out)
{
    char x[32];
    const struct reject_kind *k = reject_kinds_most(&r->run_totals->rejects);
    if (!k) return;
    say_to(out, "  most often: %s%s (%s)\n", k->like,
           strcmp(k->kind, k->like) == 0 ? "" : ", and the like", count(k->rows, x));
    if (!strcmp(k->kind, "'...' is not a date") ||
        !strcmp(k->kind, "'...' is not a timestamp"))
        say_to(out, "  other ways to write dates are read as text and by --sql with "
                    "strptime(text, '%%d.%%m.%%Y') (docs/SQL.md)\n");
}

static void sheet(const struct report *r, FILE *out)
{
    struct balance b;
    char x[6][32];
    report_sum(r->by_input, r->n_inputs, &b);
    say_to(out, "  rows read    %14s = parsed %s + rejected %s\n", count(b.read, x[0]),
           count(b.parsed, x[1]), count(b.rejected, x[2]));
    say_to(out, "  rows emitted %14s = loaded %s + refused %s\n", count(b.emitted, x[3]),
           count(b.loaded, x[4]), count(b.refused, x[5]));
    if (r->job->mode == MODE_UPSERT)
        say_to(out, "  of those loaded, %s replaced a row with the same key\n",
               count(b.replaced, x[0]));
    if (r->job->mode == MODE_INCREMENTAL)
        say_to(out, "  skipped by watermark, at or below what is loaded: %s\n",
               count(b.skipped, x[0]));
    if (r->merge)
        say_to(out, "  they were merged into %s row%s\n", count(r->merge->rows_out, x[0]),
               r->merge->rows_out == 1 ? "" : "s");
    if (b.misfits)
        say_to(out, "  %s value%s did not fit the inferred type and %s kept as text\n",
               count(b.misfits, x[0]), b.misfits == 1 ? "" : "s",
               b.misfits == 1 ? "is" : "are");
    if (b.rejected + b.refused) {
        where_rejects_are(r->job, out);
        most_often(r, out);
    }
    uint32_t shown = r->n_inputs > 1 ? r->n_inputs : 0;
    if (shown > FILES_SHOWN) shown = FILES_SHOWN;
    for (uint32_t i = 0; i < shown; i++)
        file_line(&r->inputs[i], &r->by_input[i], out);
    if (r->n_inputs > FILES_SHOWN)
        say_to(out, "  ... and %u more inputs\n", r->n_inputs - FILES_SHOWN);
    say_to(out, "  %s\n",
           r->balanced ? "balanced: the committed ranges tile every input exactly"
                       : "NOT BALANCED: please report this as a bug");
}

enum { ROWS_THAT_TELL = 10000 }; // of fewer rows, the start of the processes is all

static void costs(const struct report *r, FILE *out)
{
    const struct app_totals *t = r->run_totals;
    if (t->rows_read == 0) return;
    double n = (double)t->rows_read;
    if (t->rows_read >= ROWS_THAT_TELL)
        say_to(
            out,
            "  CPU a row: workers %.0f ns, coordinator %.0f ns; by the clock: parse %.0f, "
            "transform %.0f, encode %.0f ns\n",
            (double)t->worker_cpu_ns / n, r->coordinator_cpu_seconds * 1e9 / n,
            (double)t->parse_ns / n, (double)t->apply_ns / n, (double)t->encode_ns / n);
    if (t->chunks_cached)
        say_to(out, "  the cache had the results of %llu of %llu batches\n",
               (unsigned long long)t->chunks_cached, (unsigned long long)t->chunks);
    if (t->worker_deaths + t->runner_deaths + t->splits + t->retries)
        say_to(out,
               "  %llu retries, %llu runners and %llu workers died, %llu chunks were "
               "bisected\n",
               (unsigned long long)t->retries, (unsigned long long)t->runner_deaths,
               (unsigned long long)t->worker_deaths, (unsigned long long)t->splits);
}

static void against_plan(const struct report *r, FILE *out)
{
    if (!r->plan) return;
    double error = 100 * journal_plan_error(r->plan, r->seconds);
    say_to(out, "  planned: %.2f s with %u worker%s; it took %.0f %% %s\n",
           r->plan->seconds, r->plan->workers, r->plan->workers == 1 ? "" : "s",
           error < 0 ? -error : error, error < 0 ? "less" : "more");
}

void report_human(const struct report *r, FILE *out)
{
    headline(r, out);
    if (r->nothing_new && r->by_input)
        say_to(out, "  all that this load has, with what earlier runs of it did:\n");
    if (r->by_input) sheet(r, out);
    costs(r, out);
    against_plan(r, out);
}

void json_string(const char *s, FILE *out)
{
    json_string_n(s, strlen(s), out);
}

void json_string_n(const void *p, size_t n, FILE *out)
{
    const uint8_t *s = p;
    static const char replacement[] = "\xef\xbf\xbd"; // U+FFFD, for what is no UTF-8
    size_t bad = utf8_bad(s, n);
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = s[i];
        if (i == bad) {
            fputs(c ? replacement : "\\u0000", out);
            bad = i + 1 + utf8_bad(s + i + 1, n - i - 1);
        } else if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            fprintf(out, "\\u%04x", c);
        } else if (c == 0xc2 && s[i + 1] < 0xa0) { // U+0080 to U+009F
            fprintf(out, "\\u%04x", s[++i]);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

void report_json(const struct report *r, FILE *out)
{
    const struct app_totals *t = r->run_totals;
    fputs("{\"run\":", out);
    json_string(r->run, out);
    if (r->job->place != JOB_ALONE) {
        fputs(",\"step\":", out);
        json_string(r->job->name, out);
    }
    fputs(",\"status\":", out);
    json_string(r->status, out);
#define NUMBER(key, v) fprintf(out, ",\"%s\":%llu", key, (unsigned long long)(v))
    NUMBER("rows_read", t->rows_read);
    NUMBER("rows_parsed", t->rows_parsed);
    NUMBER("rows_rejected", t->rows_rejected);
    NUMBER("rows_emitted", t->rows_emitted);
    NUMBER("rows_loaded", t->rows_loaded);
    NUMBER("rows_refused", t->rows_refused);
    if (r->job->mode == MODE_UPSERT) NUMBER("rows_replaced", t->rows_replaced);
    if (r->job->mode == MODE_INCREMENTAL) NUMBER("rows_skipped", t->rows_skipped);
    if (r->merge) NUMBER("rows_merged", r->merge->rows_out);
    NUMBER("chunks", t->chunks);
    NUMBER("chunks_cached", t->chunks_cached);
    NUMBER("retries", t->retries);
    NUMBER("bytes_read", t->bytes_read);
    fprintf(out, ",\"seconds\":%.3f", r->seconds);
    NUMBER("workers", t->workers);
    fputs(",\"table\":", out);
    json_string(r->job->table ? r->job->table : "", out);
    fprintf(out, ",\"resumed\":%s", r->resumed ? "true" : "false");
    if (r->plan) fprintf(out, ",\"planned_seconds\":%.4f", r->plan->seconds);
    NUMBER("misfits", t->misfits);
    fprintf(out, ",\"cpu_seconds\":{\"coordinator\":%.3f,\"workers\":%.3f}",
            r->coordinator_cpu_seconds, (double)t->worker_cpu_ns / 1e9);
    if (r->by_input) {
        struct balance b;
        report_sum(r->by_input, r->n_inputs, &b);
        fprintf(out, ",\"load\":{\"balanced\":%s", r->balanced ? "true" : "false");
        NUMBER("rows_read", b.read);
        NUMBER("rows_parsed", b.parsed);
        NUMBER("rows_rejected", b.rejected);
        NUMBER("rows_emitted", b.emitted);
        NUMBER("rows_loaded", b.loaded);
        NUMBER("rows_refused", b.refused);
        fputc('}', out);
    }
#undef NUMBER
    if (r->error[0]) {
        fputs(",\"error\":", out);
        json_string(r->error, out);
    }
    fputs("}\n", out);
}

// Rows to standard output, in the order of their commits. Nothing can be taken back, so
// nothing can be resumed either; ranges follow the rules of null:.

#include "coordinator/warehouse_stdout.h"
#include "coordinator/load_inputs.h"

#include "coordinator/warehouse_null.h"
#include "coordinator/warehouse_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

err_t stdout_write(const uint8_t *p, size_t n, struct err *e)
{
    while (n) {
        ssize_t k = write(STDOUT_FILENO, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EPIPE)
            return err_set(e, ERR_CLOSED,
                           "whoever read standard output has closed it: not all rows were "
                           "written");
        if (k <= 0) return err_sys(e, "standard output can't be written");
        p += k;
        n -= (size_t)k;
    }
    return ERR_OK;
}

void stdout_say_reject(struct stdout_rejects *s, const char *input, const struct reject *r)
{
    char text[1400];
    s->n++;
    if (!s->say || s->n > STDOUT_REJECTS_SAID + 1) return;
    if (s->n > STDOUT_REJECTS_SAID) {
        s->say(s->say_arg, "further rejected rows are counted only: load into a file or a "
                           "database to keep them");
        return;
    }
    snprintf(text, sizeof text, "rejected: %.300s, %s %" PRIu64 "%s%.*s: %.*s", input,
             r->line ? "line" : "row", r->line ? r->line : r->byte, r->column.n ? ", " : "",
             (int)(r->column.n < 200 ? r->column.n : 200), (const char *)r->column.p,
             (int)(r->reason.n < 600 ? r->reason.n : 600), (const char *)r->reason.p);
    s->say(s->say_arg, text);
}

static void say_rejects(struct warehouse *w, const struct result *r)
{
    size_t at = 0;
    bool bad;
    struct reject one;
    while (rejects_next(r->rejects, &at, &one, &bad))
        stdout_say_reject(&w->rejects, w->inputs[r->row.range.input].name, &one);
}

static err_t check(const struct warehouse *w, const struct result *r, struct err *e)
{
    TRY(load_check_counts(r, e));
    return r->image ? text_check(w->format, &w->schema, r, e) : ERR_OK;
}

static err_t write_result(struct warehouse *w, const struct result *r, struct err *e)
{
    if (!r->checked) TRY(check(w, r, e));
    if (r->image) TRY(stdout_write(r->image, r->image_bytes, e));
    say_rejects(w, r);
    return ERR_OK;
}

static err_t open_format(struct warehouse **out, const char *format, warehouse_say *say,
                         void *say_arg, struct err *e)
{
    struct warehouse *w = calloc(1, sizeof *w);
    *out = w;
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    w->write = write_result;
    w->format = format;
    w->rejects = (struct stdout_rejects){ say, say_arg, 0 };
    return ERR_OK;
}

static err_t open_csv(struct warehouse **out, const char *url, warehouse_say *say,
                      void *say_arg, struct err *e)
{
    (void)url;
    return open_format(out, "csv", say, say_arg, e);
}

static err_t open_jsonl(struct warehouse **out, const char *url, warehouse_say *say,
                        void *say_arg, struct err *e)
{
    (void)url;
    return open_format(out, "jsonl", say, say_arg, e);
}

static err_t query_value(struct warehouse *w, const char *sql, struct arena *mem,
                         struct cell *value, struct err *e)
{
    (void)w, (void)sql, (void)mem, (void)value;
    return err_set(e, ERR_INVALID, "stdout: has no tables to read parameters from");
}

static err_t begin(struct warehouse *w, const struct load_identity *id,
                   const struct schema *schema, const struct load_input *inputs,
                   size_t n_inputs, const struct buf *params, struct load_state *state,
                   struct err *e)
{
    struct buf header = { 0 };
    schema_free(&w->schema);
    TRY(null_begin(w, id, schema, inputs, n_inputs, params, state, e));
    err_t rc = schema_copy(&w->schema, schema, e);
    if (rc == ERR_OK) rc = text_header(w->format, schema, &header, e);
    if (rc == ERR_OK) rc = stdout_write(header.p, header.n, e);
    buf_free(&header);
    if (rc != ERR_OK) load_state_free(state);
    return rc;
}

static void close_stdout(struct warehouse **w)
{
    if (*w) schema_free(&(*w)->schema);
    null_close(w);
}

#define VERBS                                                                          \
    .query_value = query_value, .begin = begin, .check = check, .commit = null_commit, \
    .note = null_note, .finish = null_finish, .close = close_stdout

const struct warehouse_ops warehouse_stdout = { .scheme = "stdout",
                                                .forgets = true,
                                                .sink = "csv",
                                                .merging = &warehouse_stdout_merged,
                                                .open = open_csv,
                                                VERBS };
const struct warehouse_ops warehouse_stdout_jsonl = { .scheme = "stdout:jsonl",
                                                      .forgets = true,
                                                      .sink = "jsonl",
                                                      .merging =
                                                          &warehouse_stdout_jsonl_merged,
                                                      .open = open_jsonl,
                                                      VERBS };

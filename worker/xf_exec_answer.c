// What a program wrote: frames, columns, rows.

#include "worker/xf_exec.h"

#include "common/infer.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct csv_dialect plain = { .delimiter = ',', .quote = '"' };

// ---- frames ----

static bool number(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    const uint8_t *q = *p;
    *out = 0;
    for (; q < end && *q >= '0' && *q <= '9' && *out < UINT64_MAX / 100; q++)
        *out = *out * 10 + (*q - '0');
    bool any = q > *p;
    *p = q;
    return any;
}

enum xf_exec_framing xf_exec_frame(const uint8_t *p, size_t n, struct xf_exec_frame *f)
{
    enum { LINE_MAX_BYTES = 100 };
    static const char batch[] = "tranche-batch ", error[] = "tranche-error ";
    const uint8_t *lf = memchr(p, '\n', n < LINE_MAX_BYTES ? n : LINE_MAX_BYTES);
    if (!lf) return n < LINE_MAX_BYTES ? FRAMING_PART : FRAMING_BAD;
    const uint8_t *end = lf - (lf > p && lf[-1] == '\r');
    uint64_t bytes = 0;
    *f = (struct xf_exec_frame){ .head = (size_t)(lf + 1 - p) };
    if ((size_t)(end - p) < strlen(batch)) return FRAMING_BAD;
    f->error = memcmp(p, error, strlen(error)) == 0;
    if (!f->error && memcmp(p, batch, strlen(batch)) != 0) return FRAMING_BAD;
    const uint8_t *at = p + strlen(batch);
    if (!number(&at, end, &bytes) || bytes > SIZE_MAX / 2) return FRAMING_BAD;
    f->bytes = (size_t)bytes;
    if (!f->error && (at == end || *at++ != ' ' || !number(&at, end, &f->rows)))
        return FRAMING_BAD;
    if (at != end) return FRAMING_BAD;
    return n - f->head >= f->bytes ? FRAMING_WHOLE : FRAMING_PART;
}

// ---- columns ----

static err_t nothing(struct err *e)
{
    return err_set(
        e, ERR_TRANSFORM,
        "it wrote nothing; a CSV result begins with a line of column names, also "
        "when no row follows");
}

static err_t add_column(struct schema *s, const struct csv_value *v, struct err *e)
{
    char name[TEXT_QUOTED];
    if (v->n == 0)
        return err_set(e, ERR_TRANSFORM,
                       "column %u of its result has no name (pandas: to_csv(..., "
                       "index=False))",
                       s->n + 1);
    text_quoted(v->p, name);
    if (strlen(v->p) != v->n || !text_is_utf8(v->p, v->n) || v->n > 1000)
        return err_set(e, ERR_TRANSFORM, "%s is no name for a column", name);
    if (schema_find(s, v->p) >= 0)
        return err_set(e, ERR_TRANSFORM, "its result has two columns %s", name);
    if (s->n == SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_TRANSFORM, "its result has more than %d columns",
                       SCHEMA_MAX_COLUMNS);
    return schema_add(s, v->p, v->n, TYPE_TEXT, false, e);
}

// The first line as names. *used: its bytes.
static err_t read_names(const uint8_t *p, size_t n, struct arena *mem,
                        struct csv_value **names, size_t *n_names, size_t *used,
                        struct err *e)
{
    size_t bom = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (n == bom) return nothing(e);
    TRY(csv_read_record(&plain, p + bom, n - bom, true, mem, names, n_names, used, e));
    *used += bom;
    return ERR_OK;
}

static err_t infer_rows(const uint8_t *p, size_t n, struct infer_column *seen,
                        uint32_t n_cols, struct err *e)
{
    struct arena mem = { 0 };
    err_t rc = ERR_OK;
    for (size_t at = 0, used; rc == ERR_OK && at < n; at += used) {
        struct csv_value *v;
        size_t n_v;
        arena_reset(&mem);
        rc = csv_read_record(&plain, p + at, n - at, true, &mem, &v, &n_v, &used, e);
        for (size_t i = 0; rc == ERR_OK && i < n_v && i < n_cols; i++)
            if (v[i].n || v[i].quoted)
                infer_value(&seen[i], &v[i]);
            else
                infer_null(&seen[i]);
    }
    arena_free(&mem);
    return rc;
}

err_t xf_exec_columns(enum step_format format, const uint8_t *p, size_t n,
                      struct schema *out, struct err *e)
{
    if (format == STEP_JSONL) return xf_exec_json_columns(p, n, out, e);
    struct arena mem = { 0 };
    struct csv_value *names;
    size_t n_names = 0, used = 0;
    *out = (struct schema){ 0 };
    err_t rc = read_names(p, n, &mem, &names, &n_names, &used, e);
    for (size_t i = 0; rc == ERR_OK && i < n_names; i++)
        rc = add_column(out, &names[i], e);
    arena_free(&mem);
    struct infer_column *seen = calloc(out->n + 1, sizeof *seen);
    if (rc == ERR_OK && !seen) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = infer_rows(p + used, n - used, seen, out->n, e);
    for (uint32_t i = 0; rc == ERR_OK && i < out->n; i++)
        out->f[i].type = infer_type(&seen[i]);
    free(seen);
    if (rc != ERR_OK) schema_free(out);
    return rc;
}

// ---- rows ----

static err_t say_columns(const struct schema *want, const struct csv_value *got, size_t n,
                         struct err *e)
{
    size_t i = 0;
    char is[TEXT_QUOTED], was[TEXT_QUOTED];
    while (i < n && i < want->n && strcmp(want->f[i].name, got[i].p) == 0)
        i++;
    if (i < n && i < want->n)
        return err_set(e, ERR_TRANSFORM,
                       "its columns changed: column %zu is %s, and was %s when the run was "
                       "planned",
                       i + 1, text_quoted(got[i].p, is), text_quoted(want->f[i].name, was));
    return err_set(
        e, ERR_TRANSFORM,
        "its columns changed: it gives %zu, and gave %u when the run was planned", n,
        want->n);
}

static err_t check_names(const struct schema *want, const struct csv_value *got, size_t n,
                         struct err *e)
{
    bool same = n == want->n;
    for (size_t i = 0; same && i < n; i++)
        same = strlen(want->f[i].name) == got[i].n &&
               memcmp(want->f[i].name, got[i].p, got[i].n) == 0;
    return same ? ERR_OK : say_columns(want, got, n, e);
}

static err_t say_reject(const struct rejects *r, struct err *e)
{
    struct reject first;
    size_t at = 0;
    bool bad = false;
    struct slice bytes = { r->bytes.p, r->bytes.n };
    if (!rejects_next(bytes, &at, &first, &bad) || bad)
        return err_set(e, ERR_TRANSFORM, "its result has a row that is none");
    char start[TEXT_QUOTED], raw[64];
    size_t n = first.raw.n < sizeof raw - 1 ? first.raw.n : sizeof raw - 1;
    memcpy(raw, first.raw.p, n);
    raw[n] = 0;
    return err_set(e, ERR_TRANSFORM, "line %llu of its result: %.*s; it begins with %s",
                   (unsigned long long)first.line, (int)first.reason.n,
                   (const char *)first.reason.p, text_quoted(raw, start));
}

static err_t read_csv(struct xf_exec *x, const uint8_t *p, size_t n, struct batch *out,
                      struct rejects *rejects, struct err *e)
{
    struct arena mem = { 0 };
    struct csv_value *names;
    struct csv_read_stats stats;
    size_t n_names = 0, used = 0;
    err_t rc = read_names(p, n, &mem, &names, &n_names, &used, e);
    // Without rows the names say nothing: a program may not know them then.
    if (rc == ERR_OK && used < n) rc = check_names(&x->out, names, n_names, e);
    arena_free(&mem);
    TRY(rc);
    return csv_read_chunk(x->reader, p + used, n - used, (struct csv_read_pos){ used, 2 },
                          out, rejects, &stats, e);
}

err_t xf_exec_rows(struct xf_exec *x, const uint8_t *p, size_t n, struct batch *out,
                   struct err *e)
{
    struct rejects rejects = { 0 };
    err_t rc = x->step.format == STEP_JSONL ? xf_exec_json_rows(x, p, n, out, &rejects, e)
                                            : read_csv(x, p, n, out, &rejects, e);
    if (rc == ERR_OK && rejects.n) rc = say_reject(&rejects, e);
    rejects_free(&rejects);
    return rc;
}

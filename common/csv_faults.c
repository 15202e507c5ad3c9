#include "common/csv_faults.h"

#include "common/csv_field.h"
#include "common/csv_simd.h"
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 80 }; // of a value in a sentence

err_t csv_faults_add(struct csv_faults *f, const struct csv_fault *fault, struct err *e)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        struct csv_fault *v = realloc(f->v, cap * sizeof *v);
        if (!v) return err_set(e, ERR_NOMEM, "out of memory: %zu bad rows", cap);
        f->v = v;
        f->cap = cap;
    }
    f->v[f->n++] = *fault;
    return ERR_OK;
}

void csv_faults_free(struct csv_faults *f)
{
    free(f->v);
    *f = (struct csv_faults){ 0 };
}

static int by_place(const void *a, const void *b)
{
    const struct csv_fault *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static const char *wanted(enum type t)
{
    switch (t) {
    case TYPE_INTEGER: return "an integer";
    case TYPE_REAL: return "a number";
    case TYPE_BOOLEAN: return "a boolean";
    case TYPE_DATE: return "a date";
    case TYPE_TIMESTAMP: return "a timestamp";
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return "text";
}

static int say_value(struct slice raw, uint8_t quote, enum type t, char *out, size_t cap)
{
    uint8_t text[4 * SHOWN_BYTES] = { 0 };
    size_t n = raw.n < sizeof text ? raw.n : sizeof text;
    if (csv_is_quoted(quote, raw.p, raw.n))
        n = csv_unquote(quote, raw.p, n, text);
    else if (n)
        memcpy(text, raw.p, n);
    size_t shown = utf8_cut(text, n, SHOWN_BYTES);
    return snprintf(out, cap, "'%.*s%s' is not %s", (int)shown, (const char *)text,
                    shown < n ? "..." : "", wanted(t));
}

static size_t say(const struct csv_fault *f, const struct csv_place *at, char *out,
                  size_t cap)
{
    unsigned long long number = f->number, byte = at->pos.byte + f->number;
    int n = 0;
    switch (f->kind) {
    case CSV_FAULT_FIELDS:
        n = snprintf(out, cap, "%llu field%s, the header has %u", number,
                     number == 1 ? "" : "s", at->schema->n);
        break;
    case CSV_FAULT_LONG:
        n = snprintf(out, cap, "a field of %llu bytes, at most %d are allowed", number,
                     CSV_FIELD_MAX);
        break;
    case CSV_FAULT_NUL: n = snprintf(out, cap, "NUL byte at %llu", byte); break;
    case CSV_FAULT_UTF8: n = snprintf(out, cap, "byte %llu is not UTF-8", byte); break;
    case CSV_FAULT_OPEN:
        n = snprintf(out, cap, "the quote at byte %llu is never closed", byte);
        break;
    case CSV_FAULT_TYPE:
        n = say_value(f->text, at->quote, at->schema->f[f->column].type, out, cap);
        break;
    }
    return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

static uint64_t count_lfs(const uint8_t *p, size_t n)
{
    struct csv_scan s;
    struct csv_tally t;
    csv_scan_init(&s, &(struct csv_dialect){ .delimiter = ',' }, NULL);
    s.ops->tally(&s, p, n, &t);
    return t.lfs;
}

static err_t tell(const struct csv_fault *f, struct csv_place *at, struct rejects *rejects,
                  struct err *e)
{
    char reason[512];
    at->seen_lfs += count_lfs(at->p + at->seen, f->begin - at->seen);
    at->seen = f->begin;
    const char *column = f->column == CSV_NO_COLUMN ? "" : at->schema->f[f->column].name;
    struct reject r = {
        .line = at->pos.line + at->seen_lfs,
        .byte = at->pos.byte + f->begin,
        .column = { (const uint8_t *)column, strlen(column) },
        .reason = { (const uint8_t *)reason, say(f, at, reason, sizeof reason) },
        .raw = { at->p + f->begin, f->end - f->begin },
    };
    return rejects_add(rejects, &r, e);
}

err_t csv_faults_tell(struct csv_faults *f, struct csv_place *at, struct rejects *rejects,
                      struct err *e)
{
    if (f->n > 1) qsort(f->v, f->n, sizeof *f->v, by_place);
    err_t rc = ERR_OK;
    for (size_t i = 0; i < f->n && rc == ERR_OK; i++)
        rc = tell(&f->v[i], at, rejects, e);
    f->n = 0;
    return rc;
}

#include "coordinator/source_names.h"

#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static err_t check_name(const char *p, size_t n, size_t column, const char *file,
                        struct err *e)
{
    char shown[TEXT_QUOTED];
    if (n > COLUMN_NAME_MAX)
        return err_set(
            e, ERR_TOOBIG,
            "%s: the name of column %zu is %zu bytes long, the limit is %d; if the "
            "file has no header, say header: false",
            file, column, n, COLUMN_NAME_MAX);
    if (memchr(p, 0, n))
        return err_set(e, ERR_INVALID, "%s: the name of column %zu has a NUL byte in it",
                       file, column);
    if (!text_is_utf8(p, n))
        return err_set(
            e, ERR_INVALID,
            "%s: the name of column %zu is not UTF-8: %s; convert the file: iconv -f "
            "WINDOWS-1252 -t UTF-8",
            file, column, text_quoted(p, shown));
    return ERR_OK;
}

static err_t check_count(size_t n, const char *file, struct err *e)
{
    if (n <= SCHEMA_MAX_COLUMNS) return ERR_OK;
    return err_set(e, ERR_TOOBIG, "%s has %zu columns; the limit is %d", file, n,
                   SCHEMA_MAX_COLUMNS);
}

err_t names_read(const struct csv_value *fields, size_t n, const char *file,
                 struct strings *out, struct err *e)
{
    struct strings s = { 0 };
    err_t rc = check_count(n, file, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        rc = check_name(fields[i].p, fields[i].n, i + 1, file, e);
        if (rc == ERR_OK) rc = strings_add(&s, fields[i].p, fields[i].n, e);
    }
    if (rc != ERR_OK) strings_free(&s);
    *out = s;
    return rc;
}

err_t names_given(const struct strings *given, struct strings *out, struct err *e)
{
    struct strings s = { 0 };
    err_t rc = check_count(given->n, "header:", e);
    if (rc == ERR_OK && given->n == 0)
        rc = err_set(e, ERR_INVALID, "header: names no column");
    for (size_t i = 0; i < given->n && rc == ERR_OK; i++) {
        size_t len = strlen(given->v[i]);
        rc = check_name(given->v[i], len, i + 1, "header:", e);
        if (rc == ERR_OK) rc = strings_add(&s, given->v[i], len, e);
    }
    if (rc != ERR_OK) strings_free(&s);
    *out = s;
    return rc;
}

err_t names_none(size_t n, struct strings *out, struct err *e)
{
    struct strings s = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = strings_add(&s, "", 0, e);
    if (rc != ERR_OK) strings_free(&s);
    *out = s;
    return rc;
}

err_t names_equal(const struct strings *a, const char *file_a, const struct strings *b,
                  const char *file_b, struct err *e)
{
    char x[TEXT_QUOTED], y[TEXT_QUOTED];
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            return err_set(e, ERR_INVALID,
                           "the files have different headers: column %zu is %s in %s and "
                           "%s in %s; files of one source need the same columns in the "
                           "same order",
                           i + 1, text_quoted(a->v[i], x), file_a, text_quoted(b->v[i], y),
                           file_b);
    if (a->n == b->n) return ERR_OK;
    bool first = a->n > b->n;
    return err_set(e, ERR_INVALID,
                   "the files have different headers: %s has %zu columns and %s has %zu; "
                   "column %s is only in %s",
                   file_a, a->n, file_b, b->n, text_quoted(first ? a->v[n] : b->v[n], x),
                   first ? file_a : file_b);
}

// A set of names without regard to ASCII case.
struct name_set {
    const char **slot;
    size_t mask;
};

static size_t home_of(const struct name_set *s, const char *name)
{
    uint64_t h = 1469598103934665603u; // FNV-1a
    for (; *name; name++) {
        uint8_t c = (uint8_t)*name;
        h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 1099511628211u;
    }
    return (h ^ h >> 32) & s->mask;
}

static const char **find(const struct name_set *s, const char *name)
{
    size_t i = home_of(s, name);
    while (s->slot[i] && strcasecmp(s->slot[i], name) != 0)
        i = (i + 1) & s->mask;
    return &s->slot[i];
}

static err_t set_init(struct name_set *s, size_t names, struct err *e)
{
    size_t cap = 16;
    while (cap < 4 * names)
        cap *= 2;
    s->mask = cap - 1;
    s->slot = calloc(cap, sizeof *s->slot);
    return s->slot ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

struct mend {
    struct name_set taken; // every name of the header and all those made so far
    struct name_set used;  // what the columns further left are called
    bool say_empty;
    struct schema out;
    struct strings *notes;
};

static err_t note(struct mend *m, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static err_t note(struct mend *m, struct err *e, const char *fmt, ...)
{
    char text[512];
    if (!m->notes) return ERR_OK;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return strings_add(m->notes, text, strlen(text), e);
}

static err_t settle(struct mend *m, const char *name, size_t column, struct err *e)
{
    char made[COLUMN_NAME_MAX + 32], a[TEXT_QUOTED], b[TEXT_QUOTED];
    bool is_empty = !*name;
    if (is_empty)
        snprintf(made, sizeof made, "column_%zu", column);
    else
        snprintf(made, sizeof made, "%s", name);
    bool is_free = !*find(is_empty ? &m->taken : &m->used, made);
    for (size_t k = 2; !is_free; k++) {
        if (is_empty)
            snprintf(made, sizeof made, "column_%zu_%zu", column, k);
        else
            snprintf(made, sizeof made, "%s_%zu", name, k);
        is_free = !*find(&m->taken, made);
    }
    TRY(schema_add(&m->out, made, strlen(made), TYPE_TEXT, false, e));
    const char *kept = m->out.f[m->out.n - 1].name;
    *find(&m->used, kept) = kept;
    *find(&m->taken, kept) = kept;
    if (is_empty && m->say_empty)
        return note(m, e, "column %zu has no name: it is called %s", column, made);
    if (!is_empty && strcmp(made, name) != 0)
        return note(m, e, "column %zu: there is a column %s already, this one is called %s",
                    column, text_quoted(name, a), text_quoted(made, b));
    return ERR_OK;
}

err_t names_mend(const struct strings *header, bool say_empty, struct schema *out,
                 struct strings *notes, struct err *e)
{
    struct mend m = { .say_empty = say_empty, .notes = notes };
    err_t rc = set_init(&m.taken, 2 * header->n, e);
    if (rc == ERR_OK) rc = set_init(&m.used, header->n, e);
    for (size_t i = 0; i < header->n && rc == ERR_OK; i++)
        if (header->v[i][0]) *find(&m.taken, header->v[i]) = header->v[i];
    for (size_t i = 0; i < header->n && rc == ERR_OK; i++)
        rc = settle(&m, header->v[i], i + 1, e);
    free(m.taken.slot);
    free(m.used.slot);
    if (rc != ERR_OK) {
        schema_free(&m.out);
        return rc;
    }
    *out = m.out;
    return ERR_OK;
}

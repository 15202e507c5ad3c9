#include "common/csv_read.h"

#include <string.h>

// One record byte by byte. Slow and plain: headers, samples, lookup tables.

struct shape { // of a record, before anything is allocated
    size_t n_fields;
    size_t end;  // past the last byte of data
    size_t used; // past the line end; 0: it does not end here
};

static enum csv_state next(const struct csv_dialect *d, enum csv_state s, uint8_t c)
{
    bool quote = d->quote && c == d->quote;
    if (s == CSV_IN_QUOTED) return quote ? CSV_QUOTE_IN_QUOTED : s;
    if (c == d->delimiter || c == '\n') return CSV_FIELD_START;
    return quote && s != CSV_IN_FIELD ? CSV_IN_QUOTED : CSV_IN_FIELD;
}

static struct shape measure(const struct csv_dialect *d, const uint8_t *p, size_t n,
                            bool last)
{
    enum csv_state s = CSV_FIELD_START;
    size_t fields = 1;
    for (size_t i = 0; i < n; i++) {
        bool inside = s == CSV_IN_QUOTED;
        s = next(d, s, p[i]);
        if (inside) continue;
        if (p[i] == '\n')
            return (struct shape){ fields, i - (i && p[i - 1] == '\r'), i + 1 };
        fields += p[i] == d->delimiter;
    }
    return (struct shape){ fields, n, last ? n : 0 };
}

// Fills fields[] from the data of one record; `text` has room for it and a NUL a field.
static void fill(const struct csv_dialect *d, const uint8_t *p, size_t n, char *text,
                 struct csv_value *field)
{
    enum csv_state s = CSV_FIELD_START;
    *field = (struct csv_value){ .p = text };
    for (size_t i = 0; i < n; i++) {
        enum csv_state was = s;
        s = next(d, s, p[i]);
        if (was == CSV_FIELD_START && s == CSV_IN_QUOTED) {
            field->quoted = true;
        } else if (was == CSV_IN_QUOTED && s == CSV_QUOTE_IN_QUOTED) {
            continue; // the quote that closes, or the first of two
        } else if (was != CSV_IN_QUOTED && s == CSV_FIELD_START) {
            field->n = (size_t)(text - field->p);
            *text++ = 0;
            *++field = (struct csv_value){ .p = text };
        } else {
            *text++ = (char)p[i];
        }
    }
    field->n = (size_t)(text - field->p);
    *text = 0;
}

err_t csv_read_record(const struct csv_dialect *d, const uint8_t *p, size_t n, bool last,
                      struct arena *mem, struct csv_value **fields, size_t *n_fields,
                      size_t *used, struct err *e)
{
    *fields = NULL;
    *n_fields = *used = 0;
    struct shape r = measure(d, p, n, last);
    if (r.used == 0) return ERR_OK;
    struct csv_value *v = arena_alloc(mem, r.n_fields * sizeof *v);
    char *text = arena_alloc(mem, r.end + r.n_fields);
    if (!v || !text)
        return err_set(e, ERR_NOMEM, "out of memory: a record of %zu bytes and %zu fields",
                       r.used, r.n_fields);
    fill(d, p, r.end, text, v);
    *fields = v;
    *n_fields = r.n_fields;
    *used = r.used;
    return ERR_OK;
}

// The rows of a query, and what their columns are.

#include "common/row_code.h"
#include "common/row_step.h"
#include "coordinator/source_names.h"
#include "coordinator/source_sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLE_ROWS = 2000, // looked at for their types; they become the first chunks
    SAMPLE_BYTES = 1 << 20,
};

err_t sqlite_source_step(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct sqlite_source *q = s->own;
    *got = false;
    if (q->rows.at_end) return ERR_OK;
    int rc = sqlite3_step(q->st);
    q->rows.at_end = rc == SQLITE_DONE;
    if (q->rows.at_end) return ERR_OK;
    if (rc != SQLITE_ROW) return sqlite_source_fail(s, rc, e);
    TRY(row_step_put(q->st, q->rows.lead + q->rows.n_cols, to, e));
    *got = true;
    return ERR_OK;
}

// ---- types ----

static enum type declared(const char *decl)
{
    static const struct {
        const char *word;
        enum type type;
    } words[] = {
        // the order of sqlite.org/datatype3.html 3.1, and what it does not know
        { "BOOL", TYPE_BOOLEAN }, { "INT", TYPE_INTEGER }, { "CHAR", TYPE_TEXT },
        { "CLOB", TYPE_TEXT },    { "TEXT", TYPE_TEXT },   { "REAL", TYPE_REAL },
        { "FLOA", TYPE_REAL },    { "DOUB", TYPE_REAL },
    };
    for (size_t i = 0; decl && i < sizeof words / sizeof *words; i++)
        if (strcasestr(decl, words[i].word)) return words[i].type;
    return TYPE_ANY;
}

struct seen { // of one column's values
    uint64_t n[CELL_BLOB + 1];
    bool other_than_0_and_1;
    struct infer_column text;
};

static void look_at(struct seen *x, const struct cell *c)
{
    x->n[c->kind]++;
    x->other_than_0_and_1 |= c->kind == CELL_INTEGER && (c->i & ~1ll);
    if (c->kind == CELL_TEXT)
        infer_json(&x->text, &(struct json_value){ JSON_TEXT, c->p, c->len });
}

// What the values are; what is declared decides where they leave it open.
static enum type settle(const struct seen *x, enum type decl)
{
    uint64_t integers = x->n[CELL_INTEGER], reals = x->n[CELL_REAL];
    bool text = x->n[CELL_TEXT], numbers = integers || reals;
    if (x->n[CELL_BLOB] || (text && numbers)) return TYPE_ANY;
    if (text) {
        enum type t = infer_type(&x->text);
        return t == TYPE_DATE || t == TYPE_TIMESTAMP ? t : TYPE_TEXT;
    }
    if (!numbers) return decl;
    if (decl == TYPE_BOOLEAN && !reals && !x->other_than_0_and_1) return TYPE_BOOLEAN;
    return reals || decl == TYPE_REAL ? TYPE_REAL : TYPE_INTEGER;
}

static err_t sample(struct source *s, struct seen *seen, uint64_t *rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct cell c;
    bool got = true;
    for (*rows = 0; *rows < SAMPLE_ROWS && q->rows.head.n < SAMPLE_BYTES; ++*rows) {
        size_t at = q->rows.head.n;
        TRY(sqlite_source_step(s, &q->rows.head, &got, e));
        if (!got) break;
        if (!row_code_skip(q->rows.head.p, q->rows.head.n, &at, q->rows.lead)) break;
        for (uint32_t i = 0; i < q->rows.n_cols; i++)
            if (row_code_next(q->rows.head.p, q->rows.head.n, &at, &c))
                look_at(&seen[i], &c);
    }
    return ERR_OK;
}

static err_t settle_types(struct source *s, const struct job *j, struct schema *schema,
                          uint64_t *rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    TRY(names_mend(&q->rows.names, true, schema, NULL, e));
    TRY(source_give_types(j, schema, e));
    struct seen *seen = calloc(q->rows.n_cols, sizeof *seen);
    if (!seen) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = sample(s, seen, rows, e);
    for (uint32_t i = 0; rc == ERR_OK && i < q->rows.n_cols; i++) {
        enum type decl = declared(sqlite3_column_decltype(q->st, (int)(q->rows.lead + i)));
        if (!schema->f[i].given) schema->f[i].type = settle(&seen[i], decl);
    }
    free(seen);
    return rc;
}

err_t sqlite_source_infer(struct source *s, const struct job *j, struct schema *out,
                          struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    struct sqlite_source *q = s->own;
    struct schema schema = { 0 };
    err_t rc = settle_types(s, j, &schema, estimate_rows, e);
    if (rc == ERR_OK) rc = rows_trial(&q->rows, trial, e);
    if (rc != ERR_OK) {
        schema_free(&schema);
        return rc;
    }
    if (q->table) *estimate_rows = source_table_sampled(s, *estimate_rows);
    *out = schema;
    return ERR_OK;
}

err_t sqlite_source_names(struct source *s, struct schema *names_as_text,
                          struct strings *notes, struct err *e)
{
    struct sqlite_source *q = s->own;
    char note[200];
    int n = q->why_not ? snprintf(note, sizeof note, "%.100s: one thread reads it: %s",
                                  s->in->name, q->why_not)
                       : 0;
    if (q->also_loaded)
        n = snprintf(note, sizeof note,
                     "%.80s is loaded into, too: its rows are put into a temporary file "
                     "first",
                     s->in->name);
    if (n > 0 && notes) TRY(strings_add(notes, note, (size_t)n, e));
    return rows_names(s, names_as_text, notes, e);
}

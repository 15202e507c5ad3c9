// JSON lines that a program wrote: what members its objects have, and their rows.

#include "worker/xf_exec.h"

#include "common/infer.h"
#include "common/json_line.h"
#include "common/text.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEARN_LINES = 1000 };

struct lines {
    const uint8_t *next, *end;
    const uint8_t *p; // the line, without its end
    size_t n;
    unsigned number;
};

static bool next_line(struct lines *l)
{
    do {
        if (l->next >= l->end) return false;
        const uint8_t *lf = memchr(l->next, '\n', (size_t)(l->end - l->next));
        l->p = l->next;
        l->n = (size_t)((lf ? lf : l->end) - l->p);
        l->next = lf ? lf + 1 : l->end;
        l->number++;
        if (l->n && l->p[l->n - 1] == '\r') l->n--;
    } while (l->n == 0);
    return true;
}

static err_t add_name(struct schema *s, const char *name, size_t n, struct err *e)
{
    char shown[TEXT_QUOTED];
    int at = schema_find(s, name);
    if (at >= 0 && strcmp(s->f[at].name, name) == 0) return ERR_OK;
    text_quoted(name, shown);
    if (at >= 0) return err_set(e, ERR_TRANSFORM, "its objects have two members %s", shown);
    if (n == 0 || n > 1000 || strlen(name) != n || !text_is_utf8(name, n))
        return err_set(e, ERR_TRANSFORM, "%s is no name for a column", shown);
    if (s->n == SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_TRANSFORM, "its result has more than %d columns",
                       SCHEMA_MAX_COLUMNS);
    return schema_add(s, name, n, TYPE_TEXT, false, e);
}

// The members of one object; SQLite knows how escapes in names are read.
static err_t add_names(sqlite3_stmt *stmt, const struct lines *l, struct schema *s,
                       struct err *e)
{
    err_t rc = ERR_OK;
    int step;
    if (l->n > INT32_MAX || l->p[strspn((const char *)l->p, " \t")] != '{')
        return err_set(e, ERR_TRANSFORM, "line %u of its result is no JSON object",
                       l->number);
    sqlite3_bind_text(stmt, 1, (const char *)l->p, (int)l->n, SQLITE_STATIC);
    while (rc == ERR_OK && (step = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (step != SQLITE_ROW)
            rc = err_set(e, ERR_TRANSFORM, "line %u of its result is no JSON object",
                         l->number);
        else
            rc = add_name(s, (const char *)sqlite3_column_text(stmt, 0),
                          (size_t)sqlite3_column_bytes(stmt, 0), e);
    }
    sqlite3_reset(stmt);
    return rc;
}

static err_t find_names(const uint8_t *p, size_t n, struct schema *s, struct err *e)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    struct lines l = { .next = p, .end = p + n };
    err_t rc = ERR_OK;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT key FROM json_each(?1)", -1, &stmt, NULL) !=
            SQLITE_OK)
        rc = err_set(e, ERR_NOMEM, "out of memory: reading JSON");
    while (rc == ERR_OK && l.number < LEARN_LINES && next_line(&l))
        rc = add_names(stmt, &l, s, e);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    if (rc == ERR_OK && s->n == 0)
        rc = err_set(
            e, ERR_TRANSFORM,
            "it gave no rows for a sample of the input, so that its columns are not "
            "known");
    return rc;
}

static err_t names_of(const struct schema *s, struct strings *names, struct err *e)
{
    for (uint32_t i = 0; i < s->n; i++)
        TRY(strings_add(names, s->f[i].name, strlen(s->f[i].name), e));
    return ERR_OK;
}

static err_t infer_lines(const uint8_t *p, size_t n, struct json_line *json,
                         struct infer_column *seen, uint32_t n_cols, struct err *e)
{
    struct lines l = { .next = p, .end = p + n };
    while (l.number < LEARN_LINES && next_line(&l)) {
        const struct json_value *v;
        char why[JSON_LINE_WHY];
        bool good;
        TRY(json_line_read(json, l.p, l.n, &v, &good, why, e));
        if (!good)
            return err_set(e, ERR_TRANSFORM, "line %u of its result: %s", l.number, why);
        for (uint32_t i = 0; i < n_cols; i++)
            infer_json(&seen[i], &v[i]);
        json_line_reset(json);
    }
    return ERR_OK;
}

err_t xf_exec_json_columns(const uint8_t *p, size_t n, struct schema *out, struct err *e)
{
    struct strings names = { 0 };
    struct json_line *json = NULL;
    *out = (struct schema){ 0 };
    err_t rc = find_names(p, n, out, e);
    struct infer_column *seen = calloc(out->n + 1, sizeof *seen);
    if (rc == ERR_OK && !seen) rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = names_of(out, &names, e);
    if (rc == ERR_OK) rc = json_line_new(&json, &names, e);
    if (rc == ERR_OK) rc = infer_lines(p, n, json, seen, out->n, e);
    for (uint32_t i = 0; rc == ERR_OK && i < out->n; i++)
        out->f[i].type = infer_type(&seen[i]);
    free(seen);
    strings_free(&names);
    json_line_free(&json);
    if (rc != ERR_OK) schema_free(out);
    return rc;
}

err_t xf_exec_json_open(struct xf_exec *x, struct err *e)
{
    struct spec of = { .in = x->out }; // borrows
    err_t rc = names_of(&x->out, &of.fields, e);
    if (rc == ERR_OK) rc = reader_jsonl.open(&x->json_reader, &of, NULL, e);
    strings_free(&of.fields);
    return rc;
}

err_t xf_exec_json_rows(struct xf_exec *x, const uint8_t *p, size_t n, struct batch *out,
                        struct rejects *rejects, struct err *e)
{
    struct reader_stats stats;
    struct reader_chunk chunk = { .bytes = p, .n = n, .end = n, .first_line = 1 };
    return reader_jsonl.read(x->json_reader, &chunk, out, rejects, &stats, e);
}

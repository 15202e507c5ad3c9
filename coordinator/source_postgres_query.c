// Reads just enough of a statement (postgresql.org/docs/15/sql-syntax-lexical.html) to find
// its parameters and its end.

#include "coordinator/source_postgres.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

// Behind a quoted text; `escapes`: a backslash takes the next byte with it.
static const char *past_quotes(const char *s, bool escapes)
{
    char quote = *s++;
    for (; *s; s++) {
        if (escapes && *s == '\\' && s[1]) {
            s++;
        } else if (*s == quote) {
            if (s[1] != quote) return s + 1;
            s++;
        }
    }
    return s;
}

static const char *past_comment(const char *s) // they nest
{
    int depth = 0;
    for (; *s; s++) {
        if (s[0] == '/' && s[1] == '*') {
            depth++;
            s++;
        } else if (s[0] == '*' && s[1] == '/') {
            s++;
            if (--depth == 0) return s + 1;
        }
    }
    return s;
}

// $tag$ ... $tag$; s itself when it is none.
static const char *past_dollars(const char *s)
{
    size_t n = 1;
    while (word_byte(s[n]) && s[n] != '$')
        n++;
    if (s[n] != '$' || isdigit((unsigned char)s[1])) return s;
    n++;
    for (const char *end = s + n; *end; end++)
        if (strncmp(end, s, n) == 0) return end + n;
    return s + strlen(s);
}

static const char *past_word(const char *s)
{
    bool escapes = (*s == 'e' || *s == 'E') && s[1] == '\'';
    if (escapes) return past_quotes(s + 1, true);
    while (word_byte(*s))
        s++;
    return s;
}

// One token, a comment or a byte between them.
static const char *past_token(const char *s)
{
    if (*s == '\'' || *s == '"') return past_quotes(s, false);
    if (s[0] == '-' && s[1] == '-') return s + strcspn(s, "\n");
    if (s[0] == '/' && s[1] == '*') return past_comment(s);
    if (*s == '$') {
        const char *end = past_dollars(s);
        if (end != s) return end;
    }
    if (word_byte(*s)) return past_word(s);
    return s + (s[0] == ':' && s[1] == ':' ? 2 : 1);
}

static bool is_watermark(const char *s)
{
    static const char name[] = ":watermark";
    return strncmp(s, name, sizeof name - 1) == 0 && !word_byte(s[sizeof name - 1]);
}

static bool is_comment(const char *s)
{
    return (s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*');
}

static bool begins_query(const char *s)
{
    static const char *const words[] = { "select", "with", "values", "table" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (strncasecmp(s, words[i], n) == 0 && !word_byte(s[n])) return true;
    }
    return *s == '(';
}

// What stands behind the query, if it is more than its end.
static const char *second_statement(const char *s)
{
    while (isspace((unsigned char)*s) || *s == ';' || is_comment(s))
        s = past_token(s);
    return *s ? s : NULL;
}

static err_t not_one(const char *sql, const char *second, struct err *e)
{
    uint32_t line = 1, column = 1;
    for (const char *p = sql; p < second; p++) {
        line += *p == '\n';
        column = *p == '\n' ? 1 : column + 1;
    }
    return err_set(e, ERR_INVALID,
                   "source.query: one statement is wanted; a second begins at line %u, "
                   "column %u",
                   line, column);
}

err_t postgres_query_read(const char *query, struct pg_query_text *out, struct err *e)
{
    char *sql = strdup(query), *at = sql;
    bool first = true;
    *out = (struct pg_query_text){ .sql = sql };
    if (!sql) return err_set(e, ERR_NOMEM, "out of memory");
    while (*at && *at != ';') {
        bool between = isspace((unsigned char)*at) || is_comment(at);
        if (!between && first && !begins_query(at)) break;
        first &= between;
        if (is_watermark(at)) {
            memcpy(at, "$1        ", strlen(":watermark"));
            out->watermark = true;
        }
        at = sql + (past_token(at) - sql);
    }
    const char *second = second_statement(at);
    if (!first && !second) {
        *at = 0;
        return ERR_OK;
    }
    err_t rc = first ? err_set(e, ERR_INVALID, "source.query: it must be one SELECT")
                     : not_one(sql, second, e);
    free(sql);
    *out = (struct pg_query_text){ 0 };
    return rc;
}

static err_t put_bound(struct buf *b, const char *sql, const char *literal, struct err *e)
{
    while (*sql) {
        const char *end = past_token(sql);
        bool parameter = literal && sql[0] == '$' && sql[1] == '1' && end == sql + 2;
        TRY(parameter ? buf_printf(b, e, " %s ", literal)
                      : buf_add(b, sql, (size_t)(end - sql), e));
        sql = end;
    }
    return buf_add(b, "", 1, e);
}

static err_t put_params(struct buf *b, const char *sql, const char *const *names,
                        const char *const *texts, size_t n, struct err *e)
{
    while (*sql) {
        size_t i = 0, length = 0;
        for (; *sql == ':' && i < n; i++) {
            length = strlen(names[i]);
            if (strncmp(sql + 1, names[i], length) == 0 && !word_byte(sql[1 + length]))
                break;
        }
        bool found = *sql == ':' && i < n;
        const char *end = found ? sql + 1 + length : past_token(sql);
        TRY(found ? buf_printf(b, e, "%-*s", (int)length + 1, texts[i])
                  : buf_add(b, sql, (size_t)(end - sql), e));
        sql = end;
    }
    return buf_add(b, "", 1, e);
}

static err_t put_copy(struct buf *b, const char *sql, const enum pg_kind *kind, uint32_t n,
                      struct err *e)
{
    bool cast = false;
    for (uint32_t i = 0; i < n; i++)
        cast |= kind[i] == PG_OTHER;
    TRY(buf_printf(b, e, cast ? "COPY (SELECT " : "COPY ("));
    for (uint32_t i = 0; cast && i < n; i++)
        TRY(buf_printf(b, e, "%sc%u%s", i ? ", " : "", i,
                       kind[i] == PG_OTHER ? "::text" : ""));
    if (cast) TRY(buf_printf(b, e, " FROM ("));
    TRY(buf_printf(b, e, "%s\n)", sql)); // a comment may end the query
    if (cast) TRY(buf_printf(b, e, " AS q("));
    for (uint32_t i = 0; cast && i < n; i++)
        TRY(buf_printf(b, e, "%sc%u", i ? ", " : "", i));
    return buf_printf(b, e, "%s TO STDOUT (FORMAT binary)", cast ? "))" : "");
}

static err_t hand_out(struct buf *b, err_t rc, char **out)
{
    *out = (char *)b->p; // it ends with a NUL
    if (rc == ERR_OK) return ERR_OK;
    buf_free(b);
    *out = NULL;
    return rc;
}

err_t postgres_query_bind(const char *sql, const char *literal, char **out, struct err *e)
{
    struct buf b = { 0 };
    err_t rc = put_bound(&b, sql, literal, e);
    return hand_out(&b, rc, out);
}

err_t postgres_query_params(const char *sql, const char *const *names,
                            const char *const *texts, size_t n, char **out, struct err *e)
{
    struct buf b = { 0 };
    err_t rc = put_params(&b, sql, names, texts, n, e);
    return hand_out(&b, rc, out);
}

err_t postgres_query_copy(const char *sql, const enum pg_kind *kind, uint32_t n, char **out,
                          struct err *e)
{
    struct buf b = { 0 };
    err_t rc = put_copy(&b, sql, kind, n, e);
    return hand_out(&b, rc, out);
}

// The setters of source.*

#include "common/opt_set.h"
#include "common/pg.h"
#include "common/suggest.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool add_text(struct conf *c, struct strings *to, const char *text)
{
    return conf_ok(c, strings_add(to, text, strlen(text), NULL));
}

static void move_strings(struct strings *to, struct strings *from)
{
    strings_free(to);
    *to = *from;
    *from = (struct strings){ 0 };
}

// A value that may be one text or a list of them: its members one by one.
static const struct value *first_of(const struct value *v)
{
    return v->kind == VALUE_LIST ? v->first : v;
}

static const struct value *next_of(const struct value *list, const struct value *v)
{
    return list->kind == VALUE_LIST ? v->next : NULL;
}

static bool add_file(struct conf *c, const struct opt *o, const struct value *v,
                     struct strings *written, struct strings *resolved)
{
    if (v->kind != VALUE_TEXT || v->nothing) {
        conf_wrong(c, o, v, "wants a path, a glob, '-', or a list of them");
        return false;
    }
    if (!opt_path_is_good(c, o, v, v->text)) return false;
    char *path = conf_resolve(c, v->text);
    bool ok = conf_ok(c, path ? ERR_OK : ERR_NOMEM) && add_text(c, written, v->text) &&
              add_text(c, resolved, path);
    free(path);
    return ok;
}

static enum job_source kind_of(const struct opt *o)
{
    return strcmp(o->flag, "lines") == 0   ? SOURCE_LINES
           : strcmp(o->flag, "jsonl") == 0 ? SOURCE_JSONL
                                           : SOURCE_CSV;
}

void set_files(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings written = { 0 }, resolved = { 0 };
    bool ok = true;
    for (const struct value *m = first_of(v); m; m = next_of(v, m))
        ok &= add_file(c, o, m, &written, &resolved);
    if (ok && written.n == 0) conf_wrong(c, o, v, "an empty list; give a path or a glob");
    if (ok && written.n) {
        c->job->source = kind_of(o);
        move_strings(&c->job->files, &written);
        move_strings(&c->job->file_paths, &resolved);
    }
    strings_free(&written);
    strings_free(&resolved);
}

// One ASCII character; 0 and a mistake otherwise.
static uint8_t character(struct conf *c, const struct opt *o, const struct value *v,
                         const char *text, const char *example)
{
    uint8_t b = (uint8_t)text[0];
    if (b && b < 0x80 && !text[1] && b != '\n' && b != '\r') return b;
    conf_wrong(c, o, v, "%s is not one ASCII character; e.g. %s", QUOTED(text), example);
    return 0;
}

void set_delimiter(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0) text = "\t";
    uint8_t b = character(c, o, v, text, "',', ';' or tab");
    if (!b) return;
    c->job->delimiter = b;
    c->job->delimiter_given = true;
}

void set_quote(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    if (!*text || strcmp(text, "none") == 0) {
        c->job->quote = 0;
        return;
    }
    uint8_t b = character(c, o, v, text, "'\"', or none");
    if (b) c->job->quote = b;
}

static bool listed(const struct strings *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcasecmp(names->v[i], name) == 0) return true;
    return false;
}

static bool column_is_good(const char *name)
{
    return *name && text_is_utf8(name, strlen(name)) && !text_has_control(name);
}

static bool add_column(struct conf *c, const struct opt *o, const struct value *v,
                       const char *name, struct strings *names)
{
    if (!column_is_good(name))
        conf_wrong(c, o, v, "%s is no column name", QUOTED(name));
    else if (listed(names, name))
        conf_wrong(c, o, v, "the column %s is named twice", QUOTED(name));
    else if (names->n == SCHEMA_MAX_COLUMNS)
        conf_wrong(c, o, v, "more than %d columns", SCHEMA_MAX_COLUMNS);
    else
        return add_text(c, names, name);
    return false;
}

static char *without_blanks(char *s)
{
    s += strspn(s, " ");
    for (size_t n = strlen(s); n && s[n - 1] == ' '; n--)
        s[n - 1] = 0;
    return s;
}

// A flag has its names in one text. A header's may begin with a blank.
static bool split_columns(struct conf *c, const struct opt *o, const struct value *v,
                          bool trim, struct strings *names)
{
    char *text = strdup(v->text), *rest = text;
    bool ok = conf_ok(c, text ? ERR_OK : ERR_NOMEM);
    for (char *name; ok && (name = strsep(&rest, ","));)
        ok = add_column(c, o, v, trim ? without_blanks(name) : name, names);
    free(text);
    return ok;
}

static bool list_columns(struct conf *c, const struct opt *o, const struct value *v,
                         struct strings *names)
{
    bool ok = true;
    for (const struct value *m = v->first; m; m = m->next) {
        bool good = m->kind == VALUE_TEXT;
        if (!good) conf_wrong(c, o, m, "a column name must be a text");
        ok &= good && add_column(c, o, m, m->text, names);
    }
    return ok;
}

void set_header(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings names = { 0 };
    bool yes, ok = false;
    if (v->kind == VALUE_TEXT && opt_truth(v->text, &yes)) {
        c->job->header = yes ? HEADER_TRUE : HEADER_FALSE;
        strings_free(&c->job->header_names);
        return;
    }
    if (v->kind == VALUE_TEXT && !c->file)
        ok = split_columns(c, o, v, false, &names);
    else if (v->kind == VALUE_LIST && v->n)
        ok = list_columns(c, o, v, &names);
    else
        conf_wrong(c, o, v, "wants true, false, or a list of column names");
    if (ok) {
        c->job->header = HEADER_NAMES;
        move_strings(&c->job->header_names, &names);
    }
    strings_free(&names);
}

// Members of JSON objects; a flag has them in one text.
void set_fields(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings names = { 0 };
    bool ok = false;
    if (v->kind == VALUE_TEXT && !v->nothing)
        ok = split_columns(c, o, v, true, &names);
    else if (v->kind == VALUE_LIST && v->n)
        ok = list_columns(c, o, v, &names);
    else
        conf_wrong(c, o, v, "wants a list of names, e.g. [id, address.city]");
    if (ok) move_strings(&c->job->fields, &names);
    strings_free(&names);
}

// A list of JSON lines: emails[*], in the words of a path too: $.emails[*].
void set_rows(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    const char *name = strncmp(text, "$.", 2) == 0 ? text + 2 : text;
    size_t n = strcspn(name, "[");
    bool ends = strcmp(name + n, "[*]") == 0;
    if (ends && n && *name != '.' && *name != '$' && name[n - 1] != '.' &&
        !strstr(name, "..")) {
        char *list = strndup(name, n);
        if (conf_ok(c, list ? ERR_OK : ERR_NOMEM)) opt_copy_text(c, &c->job->list, list);
        free(list);
    } else if (strstr(name + n, "[*]") && strstr(strstr(name + n, "[*]") + 3, "[*]")) {
        conf_wrong(c, o, v,
                   "%s: only one list can be taken apart; take apart the other in "
                   "a transform, with json_each",
                   QUOTED(text));
    } else {
        conf_wrong(c, o, v,
                   "%s: wants the name of a list and [*] behind it, e.g. "
                   "emails[*] or customer.orders[*]",
                   QUOTED(text));
    }
}

void set_range(struct conf *c, const struct opt *o, const struct value *v)
{
    if (opt_big_count(c, o, v, &c->job->range_rows)) c->job->source = SOURCE_RANGE;
}

void set_sqlite_file(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text || !opt_path_is_good(c, o, v, text)) return;
    char *path = conf_resolve(c, text);
    if (conf_ok(c, path ? ERR_OK : ERR_NOMEM) && opt_copy_text(c, &c->job->sqlite, path) &&
        opt_copy_text(c, &c->job->sqlite_written, text))
        c->job->source = SOURCE_SQLITE;
    free(path);
}

void set_postgres(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    char *public = NULL, *password = NULL;
    struct err e;
    if (!text) return;
    err_t rc = pg_public_name(text, &public, &e);
    if (rc == ERR_OK) rc = pg_setting(text, "password", &password, &e);
    if (rc == ERR_INVALID)
        conf_wrong(c, o, v, "%s", e.text);
    else if (rc == ERR_OK && password && v->line == 0)
        conf_wrong(c, o, v, PASSWORD_IN_A_FLAG);
    else if (conf_ok(c, rc) && opt_copy_text(c, &c->job->postgres, text) &&
             opt_copy_text(c, &c->job->postgres_public, public))
        c->job->source = SOURCE_POSTGRES;
    if (password) explicit_bzero(password, strlen(password));
    free(password);
    free(public);
}

void set_encoding(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (text && strcasecmp(text, "utf-8") != 0 && strcasecmp(text, "utf8") != 0)
        conf_wrong(c, o, v,
                   "%s: " LATER "; it reads utf-8: convert the file first, iconv -f "
                   "WINDOWS-1252 -t UTF-8 FILE > NEW.csv",
                   QUOTED(text));
}

static void suggest_type(const char *word, char *out, size_t size)
{
    static const char *const elsewhere[][2] = {
        { "int", "integer" },  { "bigint", "integer" }, { "float", "real" },
        { "double", "real" },  { "numeric", "real" },   { "string", "text" },
        { "varchar", "text" }, { "str", "text" },       { "datetime", "timestamp" },
    };
    struct suggest s = { .word = word };
#define X(id, num, text, decl, aff) \
    if (TYPE_##id != TYPE_ANY) suggest_offer(&s, text);
    TYPES(X)
#undef X
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcasecmp(word, elsewhere[i][0]) == 0) s.best = elsewhere[i][1];
    if (s.best)
        snprintf(out, size, "did you mean '%s'?", s.best);
    else
        snprintf(out, size, "it is integer, real, text, boolean, date or timestamp");
}

void set_types(struct conf *c, const struct opt *o, const struct value *v)
{
    struct job_pairs *types = &c->job->types;
    if (!opt_is_map(c, o, v)) return;
    for (const struct value *m = v->first; m; m = m->next) {
        enum type type = TYPE_ANY;
        char hint[96];
        const char *text = m->kind == VALUE_TEXT ? m->text : "";
        if (!column_is_good(m->key)) {
            conf_wrong(c, o, m, "%s is no column name", QUOTED(m->key));
        } else if (!type_parse(text, &type) || type == TYPE_ANY) {
            suggest_type(text, hint, sizeof hint);
            conf_wrong(c, o, m, "column %s: %s is no type; %s", QUOTED(m->key),
                       QUOTED(text), hint);
        } else if (opt_unique(c, o, v, m)) {
            conf_ok(c, job_pairs_set(types, opt_known_as(types, m->key), type_name(type),
                                     NULL));
        }
    }
}

void set_nulls(struct conf *c, const struct opt *o, const struct value *v)
{
    struct strings nulls = { 0 };
    bool ok = v->kind != VALUE_MAP;
    if (!ok) conf_wrong(c, o, v, "wants a text or a list of texts");
    for (const struct value *m = ok ? first_of(v) : NULL; m; m = next_of(v, m)) {
        bool good = m->kind == VALUE_TEXT && !(m->nothing && !*m->text) &&
                    text_is_utf8(m->text, strlen(m->text));
        if (!good) conf_wrong(c, o, m, "wants a text in quotes, e.g. \"\" or \"NA\"");
        ok &= good && add_text(c, &nulls, m->text);
    }
    if (ok) {
        c->job->nulls_given = true;
        move_strings(&c->job->nulls, &nulls);
    }
    strings_free(&nulls);
}

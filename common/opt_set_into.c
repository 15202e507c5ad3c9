// The setter of load.into: a scheme, and the path or address that it wants.

#include "common/opt_set.h"
#include "common/pg.h"
#include "common/suggest.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESTINATIONS "sqlite:PATH, postgres:URL, csv:PATH, jsonl:PATH, stdout: or null:"

static const struct scheme {
    const char *name;
    const char *example; // NULL: it takes no path
    bool parts;          // a '*' in the file's name stands for numbers
    bool server;         // it wants an address
} SCHEMES[] = {
    { "sqlite", "sqlite:warehouse.db", false, false },
    { "csv", "csv:out.csv", true, false },
    { "jsonl", "jsonl:out.jsonl", true, false },
    { "stdout", NULL, false, false },
    { "null", NULL, false, false },
    { "postgres", NULL, false, true },
    { "postgresql", NULL, false, true },
};

static const struct scheme *find(const char *text, size_t n)
{
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++)
        if (strlen(SCHEMES[i].name) == n && memcmp(SCHEMES[i].name, text, n) == 0)
            return &SCHEMES[i];
    return NULL;
}

static const char *scheme_for(const char *name)
{
    static const struct {
        const char *end, *scheme;
    } ends[] = { { ".csv", "csv:" },      { ".tsv", "csv:" },    { ".jsonl", "jsonl:" },
                 { ".ndjson", "jsonl:" }, { ".json", "jsonl:" }, { "", "sqlite:" } };
    size_t n = strlen(name), i = 0, k;
    if (strchr(name, '@')) return "postgres://";
    while (k = strlen(ends[i].end), n < k || strcasecmp(name + n - k, ends[i].end) != 0)
        i++;
    return ends[i].scheme;
}

static void no_destination(struct conf *c, const struct opt *o, const struct value *v,
                           size_t n)
{
    char scheme[32] = "";
    if (n < sizeof scheme) memcpy(scheme, v->text, n);
    struct suggest s = { .word = scheme };
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++)
        suggest_offer(&s, SCHEMES[i].name);
    if (s.best)
        conf_wrong(c, o, v, "%s is no destination; did you mean '%s:'?", QUOTED(v->text),
                   s.best);
    else if (v->text[n] == ':' || !text_is_plain(v->text))
        conf_wrong(c, o, v, "%s is no destination; it is " DESTINATIONS, QUOTED(v->text));
    else
        conf_wrong(c, o, v, "%s has no scheme; did you mean %s%s?", QUOTED(v->text),
                   scheme_for(v->text), v->text);
}

static void set_url(struct conf *c, const char *written, const char *url)
{
    free(c->job->into_secret);
    c->job->into_secret = NULL;
    if (opt_copy_text(c, &c->job->into_written, written))
        opt_copy_text(c, &c->job->into, url);
}

// What is shown, and what tells a load from others, has no password in it.
static void set_server(struct conf *c, const struct opt *o, const struct value *v,
                       const char *text, const char *rest)
{
    const char *address = strncmp(rest, "//", 2) == 0 ? text : rest;
    char *name = NULL, *password = NULL, *into = NULL, *secret = NULL;
    struct err e;
    if (!*rest) {
        conf_wrong(c, o, v, "no address; e.g. postgres://user@host/database");
        return;
    }
    err_t rc = pg_public_name(address, &name, &e);
    if (rc == ERR_OK) rc = pg_setting(address, "password", &password, &e);
    if (rc == ERR_INVALID) {
        conf_wrong(c, o, v, "%s", e.text);
    } else if (rc == ERR_OK && password && v->line == 0) {
        conf_wrong(c, o, v, PASSWORD_IN_A_FLAG);
    } else if (conf_ok(c, rc)) {
        if (asprintf(&into, "postgres:%s", name) < 0) into = NULL;
        if (asprintf(&secret, "postgres:%s", address) < 0) secret = NULL;
        if (conf_ok(c, into && secret ? ERR_OK : ERR_NOMEM)) {
            set_url(c, name, into);
            opt_copy_text(c, &c->job->into_secret, secret);
        }
    }
    if (secret) explicit_bzero(secret, strlen(secret));
    if (password) explicit_bzero(password, strlen(password));
    free(name);
    free(password);
    free(into);
    free(secret);
}

static bool stars_are_good(const char *path, bool parts)
{
    const char *slash = strrchr(path, '/'), *star = strchr(path, '*');
    return !star || (parts && star > (slash ? slash : path - 1) && !strchr(star + 1, '*'));
}

static void set_path(struct conf *c, const struct opt *o, const struct value *v,
                     const struct scheme *s, const char *path)
{
    if (!*path)
        conf_wrong(c, o, v, "no path; e.g. %s", s->example);
    else if (strncmp(path, "//", 2) == 0)
        conf_wrong(c, o, v, "%s: write %s:PATH, without the slashes of a URL",
                   QUOTED(v->text), s->name);
    else if (strcmp(path, ":memory:") == 0)
        conf_wrong(c, o, v, "a database in memory is gone at the end; give it a path");
    else if (strcmp(path, "-") == 0)
        conf_wrong(c, o, v, "for standard output write stdout:");
    else if (s->parts && !stars_are_good(path, true))
        conf_wrong(c, o, v,
                   "%s: one '*', in the name of the file, stands for the numbers of the "
                   "parts; e.g. %s:out/part-*.%s",
                   QUOTED(v->text), s->name, s->name);
    else if (opt_path_is_good(c, o, v, path)) {
        char *resolved = conf_resolve(c, path), *url = NULL;
        if (resolved && asprintf(&url, "%s:%s", s->name, resolved) < 0) url = NULL;
        if (conf_ok(c, url ? ERR_OK : ERR_NOMEM)) set_url(c, v->text, url);
        free(resolved);
        free(url);
    }
}

void set_into(struct conf *c, const struct opt *o, const struct value *v)
{
    const char *text = opt_single(c, o, v);
    if (!text) return;
    size_t n = strcspn(text, ":");
    const struct scheme *s = text[n] ? find(text, n) : NULL;
    const char *rest = s ? text + n + 1 : "";
    if (!s)
        no_destination(c, o, v, n);
    else if (s->server)
        set_server(c, o, v, text, rest);
    else if (s->example)
        set_path(c, o, v, s, rest);
    else if (!*rest)
        set_url(c, text, text);
    else if (strcmp(s->name, "stdout") != 0)
        conf_wrong(c, o, v, "%s: write %s:", QUOTED(text), s->name);
    else if (strcmp(rest, "csv") == 0 || strcmp(rest, "jsonl") == 0)
        set_url(c, text, strcmp(rest, "csv") == 0 ? "stdout:" : text);
    else
        conf_wrong(c, o, v, "%s: it is stdout:csv or stdout:jsonl", QUOTED(text));
}

// The parts of a connection string, and what of it may be shown.

#include "common/buf.h"
#include "common/pg.h"
#include "common/pg_lib.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

static bool is_url(const char *s)
{
    return strncmp(s, "postgresql://", 13) == 0 || strncmp(s, "postgres://", 11) == 0;
}

// libpq shows what it did not understand, which may be part of a password.
static err_t not_understood(const char *conninfo, const char *why, struct err *e)
{
    const char *example = "; e.g. postgresql://user@host:5432/database, where special "
                          "characters are written as %XX";
    bool secret = strchr(conninfo, '@') || strcasestr(conninfo, "pass");
    char shown[TEXT_QUOTED], said[256];
    size_t n = why ? strcspn(why, "\n") : 0;
    if (secret || !n)
        return err_set(e, ERR_INVALID, "this is no connection to PostgreSQL%s", example);
    snprintf(said, sizeof said, "%.*s", (int)n, why);
    return err_set(e, ERR_INVALID, "%s is no connection to PostgreSQL: %s%s",
                   text_quoted(conninfo, shown), said, example);
}

// As libpq itself takes a name where a connection string may stand.
static err_t parse(const char *conninfo, PQconninfoOption **out, struct err *e)
{
    char *why = NULL, *dbname = NULL;
    bool bare = *conninfo && !is_url(conninfo) && !strchr(conninfo, '=');
    *out = NULL;
    TRY(pg_lib_load(e)); // nobody connects to what has not been named here
    if (text_has_control(conninfo) || !text_is_utf8(conninfo, strlen(conninfo)))
        return not_understood(conninfo, NULL, e);
    if (bare) {
        dbname = strdup(conninfo);
        *out = dbname ? PQconninfoParse("", NULL) : NULL;
    } else {
        *out = PQconninfoParse(conninfo, &why);
    }
    if (!*out) {
        bool nomem = !why || strncmp(why, "out of memory", 13) == 0;
        err_t rc = nomem ? err_set(e, ERR_NOMEM, "out of memory")
                         : not_understood(conninfo, why, e);
        PQfreemem(why);
        free(dbname);
        return rc;
    }
    for (PQconninfoOption *o = *out; dbname && o->keyword; o++)
        if (strcmp(o->keyword, "dbname") == 0) { // libpq frees it
            o->val = dbname;
            dbname = NULL;
        }
    free(dbname);
    return ERR_OK;
}

err_t pg_check(const char *conninfo, struct err *e)
{
    PQconninfoOption *all;
    TRY(parse(conninfo, &all, e));
    PQconninfoFree(all);
    return ERR_OK;
}

const char *pg_option(const PQconninfoOption *all, const char *key)
{
    for (; all && all->keyword; all++)
        if (strcmp(all->keyword, key) == 0) return all->val && *all->val ? all->val : NULL;
    return NULL;
}

err_t pg_setting(const char *conninfo, const char *key, char **out, struct err *e)
{
    PQconninfoOption *all;
    *out = NULL;
    TRY(parse(conninfo, &all, e));
    const char *v = pg_option(all, key);
    if (v) *out = strdup(v);
    PQconninfoFree(all);
    return v && !*out ? err_set(e, ERR_NOMEM, "out of memory") : ERR_OK;
}

static err_t put_escaped(struct buf *b, const char *s, const char *plain, struct err *e)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                    (c >= 'A' && c <= 'Z') || strchr(plain, c);
        TRY(good ? buf_add(b, s, 1, e) : buf_printf(b, e, "%%%02X", c));
    }
    return ERR_OK;
}

static err_t put_host(struct buf *b, const char *host, const char *port, struct err *e)
{
    bool v6 = strchr(host, ':');
    TRY(buf_printf(b, e, v6 ? "[" : ""));
    TRY(put_escaped(b, host, "-._~:", e));
    TRY(buf_printf(b, e, v6 ? "]" : ""));
    if (!port) return ERR_OK;
    TRY(buf_printf(b, e, ":"));
    return put_escaped(b, port, "", e);
}

static err_t put_url(struct buf *b, const PQconninfoOption *all, struct err *e)
{
    const char *host = pg_option(all, "host"), *port = pg_option(all, "port");
    const char *user = pg_option(all, "user"), *dbname = pg_option(all, "dbname");
    const char *sep = "?";
    bool in_front = host && !strpbrk(host, "/,@") && !(port && strchr(port, ','));
    TRY(buf_printf(b, e, "postgresql://"));
    if (user) TRY(put_escaped(b, user, "-._~", e));
    if (user) TRY(buf_printf(b, e, "@"));
    if (in_front) TRY(put_host(b, host, port, e));
    if (dbname) TRY(buf_printf(b, e, "/"));
    if (dbname) TRY(put_escaped(b, dbname, "-._~", e));
    for (const PQconninfoOption *o = all; o->keyword; o++) {
        bool secret = o->dispchar[0] == '*' || strcasestr(o->keyword, "password");
        bool told = o->val == user || o->val == dbname ||
                    (in_front && (o->val == host || o->val == port));
        if (!o->val || !*o->val || secret || told) continue;
        TRY(buf_printf(b, e, "%s%s=", sep, o->keyword));
        TRY(put_escaped(b, o->val, "-._~/,:", e));
        sep = "&";
    }
    return buf_add(b, "", 1, e);
}

err_t pg_public_name(const char *conninfo, char **out, struct err *e)
{
    PQconninfoOption *all;
    struct buf b = { 0 };
    *out = NULL;
    TRY(parse(conninfo, &all, e));
    err_t rc = put_url(&b, all, e);
    PQconninfoFree(all);
    if (rc != ERR_OK)
        buf_free(&b);
    else
        *out = (char *)b.p;
    return rc;
}

// Names of tables and columns: folded, quoted, listed.

#include "coordinator/warehouse_pg.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

err_t wpg_fold(const char *what, const char *name, size_t max, char **out, struct err *e)
{
    *out = NULL;
    if (!*name) return err_set(e, ERR_INVALID, "%s has no name", what);
    if (strlen(name) > max)
        return err_set(e, ERR_INVALID,
                       "%s '%.100s': in PostgreSQL its name has at most %zu bytes", what,
                       name, max);
    *out = strdup(name);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    for (char *p = *out; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
    return ERR_OK;
}

err_t wpg_quote_add(struct buf *out, const char *name, struct err *e)
{
    char *quoted = pg_quoted(name);
    if (!quoted) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = buf_printf(out, e, "%s", quoted);
    free(quoted);
    return rc;
}

err_t wpg_columns_text(const struct schema *s, const struct load_columns *c, char **out,
                       struct err *e)
{
    struct buf list = { 0 };
    size_t n = c ? c->n : s->n;
    *out = NULL;
    err_t rc = buf_printf(&list, e, "%s", "");
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        if (i) rc = buf_printf(&list, e, ",");
        if (rc == ERR_OK) rc = wpg_quote_add(&list, s->f[c ? c->v[i] : i].name, e);
    }
    if (rc == ERR_OK)
        *out = (char *)list.p;
    else
        buf_free(&list);
    return rc;
}

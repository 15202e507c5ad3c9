#include "coordinator/load_columns.h"

#include "common/hash.h"

#include <assert.h>
#include <stdlib.h>

err_t load_columns_find(const struct schema *s, const struct strings *names,
                        struct load_columns *out, struct err *e)
{
    load_columns_free(out);
    out->v = calloc(names->n + 1, sizeof *out->v);
    if (!out->v) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < names->n; i++) {
        int at = schema_find(s, names->v[i]);
        assert(at >= 0);
        out->v[out->n++] = (uint32_t)at;
    }
    return ERR_OK;
}

void load_columns_free(struct load_columns *c)
{
    free(c->v);
    *c = (struct load_columns){ 0 };
}

err_t load_columns_index_name(const char *table, const struct schema *s,
                              const struct load_columns *c, const char *end, size_t longest,
                              char **out, struct err *e)
{
    struct buf name = { 0 };
    *out = NULL;
    err_t rc = buf_printf(&name, e, "%s", table);
    for (size_t i = 0; rc == ERR_OK && i < c->n; i++)
        rc = buf_printf(&name, e, "_%s", s->f[c->v[i]].name);
    if (rc == ERR_OK) rc = buf_printf(&name, e, "_%s", end);
    if (rc == ERR_OK && longest && name.n > longest) {
        struct hash128 h = hash_bytes(name.p, name.n);
        name.n = 0;
        rc = buf_printf(&name, e, "%s_%08x_%s", table, (unsigned)h.lo, end);
    }
    if (rc == ERR_OK)
        *out = (char *)name.p;
    else
        buf_free(&name);
    return rc;
}

void load_indexes_free(struct load_indexes *x)
{
    for (size_t i = 0; x->v && i <= x->n; i++)
        load_columns_free(&x->v[i]);
    free(x->v);
    *x = (struct load_indexes){ 0 };
}

err_t load_indexes_take(struct load_indexes *x, const struct schema *s,
                        const struct strings *indexes, size_t n, struct err *e)
{
    load_indexes_free(x);
    x->v = calloc(n + 1, sizeof *x->v);
    if (!x->v) return err_set(e, ERR_NOMEM, "out of memory");
    for (; x->n < n; x->n++)
        TRY(load_columns_find(s, &indexes[x->n], &x->v[x->n], e));
    return ERR_OK;
}

#include "coordinator/source_groups.h"

#include "common/hash.h"
#include "common/hash_map.h"
#include "common/row_code.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>

struct group {
    struct hash128 key;
    uint64_t first_row;
    UT_hash_handle hh;
};

struct groups {
    struct group *ended; // all groups seen, the open one too
    struct buf value;    // of the open group
    struct buf next;
    bool any;
};

struct groups *groups_new(void)
{
    return calloc(1, sizeof(struct groups));
}

void groups_free(struct groups **gg)
{
    struct groups *g = *gg;
    struct group *x, *tmp;
    if (!g) return;
    HASH_ITER(hh, g->ended, x, tmp)
    {
        HASH_DEL(g->ended, x);
        free(x);
    }
    buf_free(&g->value);
    buf_free(&g->next);
    free(g);
    *gg = NULL;
}

void groups_show(const struct groups *g, char *out, size_t cap)
{
    struct buf text = { 0 };
    char quoted[TEXT_QUOTED] = "NULL";
    if (g->any && row_code_show(g->value.p, g->value.n, 1, &text, NULL) == ERR_OK &&
        text.n && buf_add(&text, "", 1, NULL) == ERR_OK)
        text_quoted((const char *)text.p, quoted);
    snprintf(out, cap, "%s", quoted);
    buf_free(&text);
}

static err_t begin_group(struct groups *g, uint64_t row, struct err *e)
{
    struct hash128 key = hash_bytes(g->value.p, g->value.n);
    struct group *x;
    HASH_FIND(hh, g->ended, &key, sizeof key, x);
    if (x) {
        char shown[TEXT_QUOTED];
        groups_show(g, shown, sizeof shown);
        return err_set(e, ERR_PARSE,
                       "batch.by: the group %s begins at row %llu and again at row %llu; "
                       "the rows must come ordered by this column, e.g. with ORDER BY",
                       shown, (unsigned long long)x->first_row, (unsigned long long)row);
    }
    x = calloc(1, sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory: too many groups of batch.by");
    x->key = key;
    x->first_row = row;
    HASH_ADD(hh, g->ended, key, sizeof x->key, x);
    if (x->hh.tbl) return ERR_OK;
    free(x);
    return err_set(e, ERR_NOMEM, "out of memory: too many groups of batch.by");
}

err_t groups_row(struct groups *g, uint64_t row, const struct cell *c, bool *begins,
                 struct err *e)
{
    g->next.n = 0;
    TRY(row_code_put(&g->next, c, e));
    *begins =
        !g->any || g->next.n != g->value.n || memcmp(g->next.p, g->value.p, g->next.n) != 0;
    if (!*begins) return ERR_OK;
    struct buf old = g->value;
    g->value = g->next;
    g->next = old;
    g->any = true;
    return begin_group(g, row, e);
}

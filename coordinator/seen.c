#include "coordinator/seen.h"
#include "common/hash_map.h"

#include <stdlib.h>
#include <string.h>

struct seen_name {
    UT_hash_handle hh;
    char text[];
};

static struct seen_name *find(const struct seen *s, const char *name)
{
    struct seen_name *x;
    HASH_FIND_STR(s->names, name, x);
    return x;
}

err_t seen_add(struct seen *s, const char *name, bool *is_new, struct err *e)
{
    *is_new = !find(s, name);
    if (!*is_new) return ERR_OK;
    size_t n = strlen(name);
    struct seen_name *x = calloc(1, sizeof *x + n + 1);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(x->text, name, n);
    HASH_ADD_KEYPTR(hh, s->names, x->text, n, x);
    if (x->hh.tbl) return ERR_OK;
    free(x);
    return err_set(e, ERR_NOMEM, "out of memory");
}

void seen_drop(struct seen *s, const char *name)
{
    struct seen_name *x = find(s, name);
    if (!x) return;
    HASH_DEL(s->names, x);
    free(x);
}

void seen_free(struct seen *s)
{
    struct seen_name *x, *tmp;
    HASH_ITER(hh, s->names, x, tmp)
    {
        HASH_DEL(s->names, x);
        free(x);
    }
}

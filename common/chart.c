#include "common/chart.h"

#include <stdlib.h>
#include <string.h>

void chart_free(struct chart *c)
{
    free(c->title);
    free(c->table);
    free(c->x);
    strings_free(&c->y);
    strings_free(&c->band);
    free(c->by);
    free(c->forecast);
    free(c->into);
    *c = (struct chart){ 0 };
}

err_t charts_add(struct charts *to, struct chart *c, struct err *e)
{
    struct chart *v = realloc(to->v, (to->n + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    to->v = v;
    v[to->n++] = *c;
    *c = (struct chart){ 0 };
    return ERR_OK;
}

static err_t copy_text(char **to, const char *from, struct err *e)
{
    if (from && !(*to = strdup(from))) return err_set(e, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

static err_t copy(struct chart *to, const struct chart *from, struct err *e)
{
    to->last = from->last;
    TRY(copy_text(&to->title, from->title, e));
    TRY(copy_text(&to->table, from->table, e));
    TRY(copy_text(&to->x, from->x, e));
    TRY(copy_text(&to->by, from->by, e));
    TRY(copy_text(&to->forecast, from->forecast, e));
    TRY(copy_text(&to->into, from->into, e));
    TRY(strings_copy(&to->y, &from->y, e));
    return strings_copy(&to->band, &from->band, e);
}

err_t charts_copy(struct charts *to, const struct charts *from, struct err *e)
{
    err_t rc = ERR_OK;
    for (size_t i = 0; i < from->n && rc == ERR_OK; i++) {
        struct chart c = { 0 };
        rc = copy(&c, &from->v[i], e);
        if (rc == ERR_OK) rc = charts_add(to, &c, e);
        chart_free(&c);
    }
    return rc;
}

void charts_free(struct charts *c)
{
    for (size_t i = 0; i < c->n; i++)
        chart_free(&c->v[i]);
    free(c->v);
    *c = (struct charts){ 0 };
}

#include "common/plot_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct plot_bucket {
    uint64_t n; // values, without gaps
    struct plot_point first, last, least, most;
    double lo, hi; // edges of all bands in it
    bool gap;
    double gap_x;
};

static void put(struct plot_bucket *b, const struct plot_point *p)
{
    if (!isfinite(p->y)) {
        if (!b->gap) b->gap_x = p->x;
        b->gap = true;
        return;
    }
    if (!b->n++) {
        b->first = b->last = b->least = b->most = *p;
        b->lo = p->lo, b->hi = p->hi;
        return;
    }
    if (p->x < b->first.x) b->first = *p;
    if (p->x >= b->last.x) b->last = *p;
    if (p->y < b->least.y) b->least = *p;
    if (p->y > b->most.y) b->most = *p;
    b->lo = fmin(b->lo, p->lo); // of a NaN and a number, the number
    b->hi = fmax(b->hi, p->hi);
}

static void put_where_it_belongs(struct plot_line *l, const struct plot_point *p)
{
    long double width = (long double)l->x_hi - l->x_lo;
    long double at = width > 0 ? ((long double)p->x - l->x_lo) / width * PLOT_BUCKETS : 0;
    put(&l->bucket[at >= PLOT_BUCKETS ? PLOT_BUCKETS - 1 : at < 0 ? 0 : (size_t)at], p);
}

static err_t thin(struct plot_line *l, struct err *e)
{
    l->bucket = calloc(PLOT_BUCKETS, sizeof *l->bucket);
    if (!l->bucket) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < l->n; i++)
        put_where_it_belongs(l, &l->v[i]);
    l->n = 0;
    return ERR_OK;
}

static err_t grow(struct plot_line *l, struct err *e)
{
    if (l->n & (l->n - 1)) return ERR_OK; // powers of two
    size_t room = l->n ? 2 * (size_t)l->n : 1;
    struct plot_point *v =
        realloc(l->v, (room < PLOT_POINTS ? room : PLOT_POINTS) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    l->v = v;
    return ERR_OK;
}

err_t plot_line_add(struct plot_line *l, struct plot_point p, struct err *e)
{
    if (!l->bucket && l->n == PLOT_POINTS) TRY(thin(l, e));
    if (!l->bucket) TRY(grow(l, e));
    l->rows++;
    if (l->bucket)
        put_where_it_belongs(l, &p);
    else
        l->v[l->n++] = p;
    return ERR_OK;
}

static int by_x(const void *a, const void *b)
{
    const struct plot_point *p = a, *q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    bool gap = !isfinite(p->y), other = !isfinite(q->y);
    if (gap || other) return (int)gap - (int)other;
    return p->y < q->y ? -1 : p->y > q->y;
}

static void add_once(struct plot_line *l, const struct plot_bucket *b,
                     const struct plot_point *p)
{
    const struct plot_point *was = l->n ? &l->v[l->n - 1] : NULL;
    if (was && was->x == p->x && was->y == p->y) return;
    l->v[l->n] = *p;
    l->v[l->n].lo = b->lo;
    l->v[l->n].hi = b->hi;
    l->n++;
}

static void gather(struct plot_line *l)
{
    for (size_t i = 0; i < PLOT_BUCKETS; i++) {
        const struct plot_bucket *b = &l->bucket[i];
        bool up = b->least.x <= b->most.x;
        if (b->n) {
            add_once(l, b, &b->first);
            add_once(l, b, up ? &b->least : &b->most);
            add_once(l, b, up ? &b->most : &b->least);
            add_once(l, b, &b->last);
        } else if (b->gap) {
            l->v[l->n++] = (struct plot_point){ b->gap_x, NAN, NAN, NAN };
        }
    }
}

void plot_line_end(struct plot_line *l)
{
    if (l->bucket) {
        gather(l);
        return;
    }
    if (l->n) qsort(l->v, l->n, sizeof *l->v, by_x);
    for (uint32_t i = 1; i < l->n; i++)
        l->at_once += l->v[i].x == l->v[i - 1].x && isfinite(l->v[i].y);
}

bool plot_line_thinned(const struct plot_line *l)
{
    return l->bucket;
}

void plot_line_free(struct plot_line *l)
{
    free(l->v);
    free(l->bucket);
    *l = (struct plot_line){ 0 };
}

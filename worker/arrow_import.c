#include "worker/arrow.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

err_t arrow_wrong(const struct arrow_reader *r, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(r->e, ERR_TRANSFORM, "the plugin's column '%s': %s", r->c->name, text);
}

// Fewer than 2^32 - 1 rows, and no sum that overflows.
static bool sane_extent(const struct ArrowArray *a)
{
    return a->length >= 0 && a->offset >= 0 && a->length < UINT32_MAX &&
           a->offset < INT64_MAX / 64;
}

static err_t check_root(const struct arrow_layout *l, const struct ArrowArray *a,
                        struct err *e)
{
    if (!a->release)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's apply gave no array, or a released one");
    if (!sane_extent(a))
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's array has the length %lld and the offset %lld",
                       (long long)a->length, (long long)a->offset);
    if (a->n_children != l->n || !a->children)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's array has %lld columns, its schema %u",
                       (long long)a->n_children, l->n);
    if (a->n_buffers != 1 || !a->buffers || a->dictionary)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's array is no struct: it has %lld buffers",
                       (long long)a->n_buffers);
    if (a->null_count > 0 || (a->null_count < 0 && a->buffers[0]))
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's array has NULL structs, or does not say that it has "
                       "none: a row cannot be NULL, only its columns");
    return ERR_OK;
}

static err_t check_child(const struct arrow_reader *r)
{
    const struct ArrowArray *a = r->a;
    int buffers = arrow_buffers(r->c->kind);
    if (!a || !a->release) return arrow_wrong(r, "it has no array, or a released one");
    if (!sane_extent(a))
        return arrow_wrong(r, "its length is %lld and its offset %lld",
                           (long long)a->length, (long long)a->offset);
    if (a->n_buffers != buffers || (buffers && !a->buffers))
        return arrow_wrong(r, "it has %lld buffers, its type %d", (long long)a->n_buffers,
                           buffers);
    if (a->n_children) return arrow_wrong(r, "it has children, its type has not");
    if (!a->dictionary != !r->c->dictionary)
        return arrow_wrong(r, r->c->dictionary ? "its dictionary is missing"
                                               : "it has a dictionary, its schema has not");
    if (a->null_count < -1 || a->null_count > a->length)
        return arrow_wrong(r, "its null count is %lld of %lld rows",
                           (long long)a->null_count, (long long)a->length);
    return ERR_OK;
}

err_t arrow_read(const struct arrow_layout *layout, const struct ArrowArray *a,
                 struct batch *out, struct err *e)
{
    TRY(check_root(layout, a, e));
    for (uint32_t i = 0; i < layout->n; i++) {
        struct arrow_reader r = { .c = &layout->col[i],
                                  .a = a->children[i],
                                  .rows = (uint32_t)a->length,
                                  .mem = &out->mem,
                                  .v = &out->col[i],
                                  .e = e };
        TRY(check_child(&r));
        // A child may be longer than its parent, never shorter.
        if (r.a->length - a->length < a->offset)
            return arrow_wrong(&r, "it has %lld rows, the array %lld from row %lld on",
                               (long long)r.a->length, (long long)a->length,
                               (long long)a->offset);
        r.first = (uint64_t)(r.a->offset + a->offset);
        TRY(arrow_column_read(&r));
    }
    out->rows = (uint32_t)a->length;
    return ERR_OK;
}

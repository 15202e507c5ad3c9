#include "common/sqlite_tree.h"

#include "common/sqlfmt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX_BYTES = 5 }; // varint of a rowid below 2^32

static uint8_t *new_page(struct sqlite_tree *t)
{
    if (t->pages + 1 == sqlfmt_lock_page(t->page_bytes)) {
        if (t->cap / t->page_bytes <= t->pages) return NULL;
        memset(t->p + t->pages++ * (size_t)t->page_bytes, 0, t->page_bytes);
    }
    if (t->cap / t->page_bytes <= t->pages) return NULL;
    return t->p + t->pages++ * (size_t)t->page_bytes;
}

static err_t no_room(const struct sqlite_tree *t, struct err *e)
{
    return err_set(e, ERR_TOOBIG,
                   "the result does not fit in %zu bytes: row %u is the first "
                   "that is left",
                   t->cap, t->rows + 1);
}

static err_t add_child(struct sqlite_tree *t, struct sqlite_tree_child c, struct err *e)
{
    if (t->n_children == t->cap_children) {
        size_t cap = t->cap_children ? t->cap_children * 2 : 64;
        struct sqlite_tree_child *p = realloc(t->child, cap * sizeof *p);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu pages of an image", cap);
        t->child = p;
        t->cap_children = cap;
    }
    t->child[t->n_children++] = c;
    return ERR_OK;
}

static uint8_t *leaf_header(const struct sqlite_tree *t)
{
    return t->leaf + (t->leaf_page == 1 ? SQLFMT_FILE_HEADER : 0);
}

static err_t open_leaf(struct sqlite_tree *t, struct err *e)
{
    t->leaf = new_page(t);
    if (!t->leaf) return no_room(t, e);
    t->leaf_page = t->pages;
    t->leaf_cells = 0;
    t->pointers = leaf_header(t) + SQLFMT_LEAF_HEADER;
    t->content = t->leaf + t->page_bytes;
    return ERR_OK;
}

static err_t close_leaf(struct sqlite_tree *t, struct err *e)
{
    uint8_t *header = leaf_header(t);
    memset(header, 0, SQLFMT_LEAF_HEADER);
    header[SQLFMT_AT_TYPE] = SQLFMT_LEAF;
    sqlfmt_put16(header + SQLFMT_AT_CELLS, t->leaf_cells);
    sqlfmt_put16(header + SQLFMT_AT_CONTENT, (uint32_t)(t->content - t->leaf));
    memset(t->pointers, 0, (size_t)(t->content - t->pointers));
    return add_child(t, (struct sqlite_tree_child){ t->leaf_page, t->rows }, e);
}

static inline size_t leaf_room(const struct sqlite_tree *t) // for a cell and its pointer
{
    return (size_t)(t->content - t->pointers);
}

static inline void point_at_cell(struct sqlite_tree *t)
{
    sqlfmt_put16(t->pointers, (uint32_t)(t->content - t->leaf));
    t->pointers += 2;
    t->leaf_cells++;
    t->rows++;
}

static err_t make_room(struct sqlite_tree *t, size_t cell, struct err *e)
{
    if (leaf_room(t) >= cell + 2) return ERR_OK;
    TRY(close_leaf(t, e));
    TRY(open_leaf(t, e));
    assert(leaf_room(t) >= cell + 2);
    return ERR_OK;
}

// The record stands in a slot, with writable bytes before it; so has the page while it has
// room. That allows copying backwards in whole steps.
static err_t put_short(struct sqlite_tree *t, uint8_t *record, const uint8_t *end,
                       struct err *e)
{
    enum { STEP = 16 };
    uint8_t *from = sqlfmt_varint_before(record, (uint64_t)t->rows + 1);
    from = sqlfmt_varint_before(from, (uint64_t)(end - record));
    size_t n = (size_t)(end - from);
    if (__builtin_expect(leaf_room(t) < n + 2 + STEP, 0)) {
        TRY(make_room(t, n, e));
        t->content -= n;
        memcpy(t->content, from, n);
        point_at_cell(t);
        return ERR_OK;
    }
    uint8_t *to = t->content;
    t->content -= n;
    do {
        to -= STEP;
        end -= STEP;
        memcpy(to, end, STEP);
    } while (to > t->content);
    point_at_cell(t);
    return ERR_OK;
}

// A payload on its way into a cell and, where that ends, into overflow pages.
struct spill {
    struct sqlite_tree *t;
    uint8_t *at;
    size_t room;
    uint8_t *link; // where the number of the next overflow page goes
};

static err_t pour(struct spill *s, const uint8_t *p, size_t n, struct err *e)
{
    while (n > s->room) {
        memcpy(s->at, p, s->room);
        p += s->room;
        n -= s->room;
        uint8_t *page = new_page(s->t);
        if (!page) return no_room(s->t, e);
        sqlfmt_put32(s->link, s->t->pages);
        s->link = page;
        sqlfmt_put32(page, 0);
        s->at = page + SQLFMT_LINK;
        s->room = s->t->page_bytes - SQLFMT_LINK;
    }
    if (n) memcpy(s->at, p, n);
    s->at += n;
    s->room -= n;
    return ERR_OK;
}

// All values, when the cell holds them all. Numbers are copied eight bytes at a time.
static void put_values(uint8_t *at, const uint8_t *end, const struct sqlite_rows *x)
{
    for (uint32_t i = 0; i < x->n_cols; i++) {
        const struct sqlite_value *v = &x->value[i];
        if (v->p == v->number && end - at >= 8)
            memcpy(at, v->number, 8);
        else
            memcpy(at, v->p, v->n);
        at += v->n;
    }
}

static err_t put_spilling(struct spill *s, const struct sqlite_rows *x, struct err *e)
{
    TRY(pour(s, x->header, x->header_bytes, e));
    for (uint32_t i = 0; i < x->n_cols; i++)
        TRY(pour(s, x->value[i].p, x->value[i].n, e));
    memset(s->at, 0, s->room);
    return ERR_OK;
}

err_t sqlite_tree_row(struct sqlite_tree *t, const struct sqlite_rows *x, struct err *e)
{
    uint64_t rowid = (uint64_t)t->rows + 1;
    if (x->payload > SQLFMT_MAX_RECORD)
        return err_set(e, ERR_TOOBIG, "row %llu has %llu bytes, a row of SQLite at most %d",
                       (unsigned long long)rowid, (unsigned long long)x->payload,
                       SQLFMT_MAX_RECORD);
    size_t n = sqlfmt_leaf_cell_bytes(t->page_bytes, x->payload, rowid);
    TRY(make_room(t, n, e));
    t->content -= n;
    uint8_t *at = sqlfmt_varint_put(sqlfmt_varint_put(t->content, x->payload), rowid);
    uint32_t local = sqlfmt_local(t->page_bytes, x->payload);
    if (local < x->payload) {
        TRY(put_spilling(&(struct spill){ t, at, local, at + local }, x, e));
    } else {
        memcpy(at, x->header, x->header_bytes);
        put_values(at + x->header_bytes, at + local, x);
    }
    point_at_cell(t);
    return ERR_OK;
}

err_t sqlite_tree_batch(struct sqlite_tree *t, struct sqlite_rows *x, const struct batch *b,
                        struct err *e)
{
    ptrdiff_t local_max = sqlfmt_local_max(t->page_bytes);
    sqlite_rows_start(x);
    while (t->rows < b->rows) {
        uint32_t first = t->rows, left = b->rows - first;
        uint32_t n = left < SQLITE_ROWS_BLOCK ? left : SQLITE_ROWS_BLOCK;
        sqlite_rows_block(x, b, first);
        for (uint32_t r = 0; r < n; r++) {
            uint8_t *record = sqlite_rows_record(x, r);
            if (__builtin_expect((x->odd >> r & 1) || x->end[r] - record > local_max, 0)) {
                sqlite_rows_long(x, b, first + r);
                TRY(sqlite_tree_row(t, x, e));
            } else {
                TRY(put_short(t, record, x->end[r], e));
            }
        }
    }
    return ERR_OK;
}

static err_t put_interior(struct sqlite_tree *t, const struct sqlite_tree_child *c,
                          size_t n, struct err *e)
{
    uint8_t *page = new_page(t);
    if (!page) return no_room(t, e);
    uint8_t *pointer = page + SQLFMT_INTERIOR_HEADER, *content = page + t->page_bytes;
    for (size_t i = 0; i + 1 < n; i++) {
        content = sqlfmt_varint_before(content, c[i].last_row) - SQLFMT_LINK;
        sqlfmt_put32(content, c[i].page);
        sqlfmt_put16(pointer, (uint32_t)(content - page));
        pointer += 2;
    }
    memset(page, 0, SQLFMT_INTERIOR_HEADER);
    page[SQLFMT_AT_TYPE] = SQLFMT_INTERIOR;
    sqlfmt_put16(page + SQLFMT_AT_CELLS, (uint32_t)n - 1);
    sqlfmt_put16(page + SQLFMT_AT_CONTENT, (uint32_t)(content - page));
    sqlfmt_put32(page + SQLFMT_AT_RIGHT, c[n - 1].page);
    memset(pointer, 0, (size_t)(content - pointer));
    return ERR_OK;
}

// Replaces the children by their parents until one is left: the root. The children are
// spread evenly, so that no parent has only one.
err_t sqlite_tree_finish(struct sqlite_tree *t, uint32_t *root, struct err *e)
{
    TRY(close_leaf(t, e));
    size_t most =
        (t->page_bytes - SQLFMT_INTERIOR_HEADER) / (2 + SQLFMT_LINK + KEY_MAX_BYTES);
    while (t->n_children > 1) {
        size_t n = t->n_children, parents = (n + most - 1) / most;
        const struct sqlite_tree_child *c = t->child;
        for (size_t i = 0; i < parents; i++) {
            size_t k = n / parents + (i < n % parents);
            TRY(put_interior(t, c, k, e));
            c += k;
            t->child[i] = (struct sqlite_tree_child){ t->pages, c[-1].last_row };
        }
        t->n_children = parents;
    }
    *root = t->child[0].page;
    return ERR_OK;
}

err_t sqlite_tree_start(struct sqlite_tree *t, uint8_t *p, size_t cap, uint32_t page_bytes,
                        uint32_t pages, struct err *e)
{
    t->p = p;
    t->cap = cap;
    t->page_bytes = page_bytes;
    t->pages = pages;
    t->rows = 0;
    t->n_children = 0;
    return open_leaf(t, e);
}

void sqlite_tree_close(struct sqlite_tree *t)
{
    free(t->child);
    *t = (struct sqlite_tree){ 0 };
}

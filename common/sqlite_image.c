#include "common/sqlite_image.h"

#include "common/sqlfmt.h"
#include "common/sqlite_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_COOKIE = 1,
    LIBRARY_VERSION = 3040001,
    KEY_MAX_BYTES = 5, // varint of a rowid below 2^32
    ROOT_MAX = 4, // bytes of a root page number: always four, so that it can be patched
};

struct child { // a finished page of the tree
    uint32_t page;
    uint32_t last_row;
};

struct sqlite_image {
    uint32_t page_bytes;
    uint32_t n_cols;
    enum type *type; // n_cols, as declared
    struct sqlite_rows rows;
    struct buf head;     // page 1 and the overflow pages of the schema row
    size_t root_at;      // offset in it of the table's root page number
    struct child *child; // pages of the tree level that is being built
    size_t n_children, cap_children;
};

// Where the next image goes. The open leaf grows from both ends: cell pointers up from
// `pointers`, cells down from `content`.
struct writer {
    struct sqlite_image *im;
    uint8_t *p;
    size_t cap;
    uint32_t page_bytes;
    uint32_t pages;
    uint8_t *leaf; // NULL: none is open
    uint8_t *pointers, *content;
    uint32_t leaf_page, leaf_cells;
    uint32_t rows; // written so far
};

static uint8_t *new_page(struct writer *w)
{
    if (w->pages + 1 == sqlfmt_lock_page(w->page_bytes)) {
        if (w->cap / w->page_bytes <= w->pages) return NULL;
        memset(w->p + w->pages++ * (size_t)w->page_bytes, 0, w->page_bytes);
    }
    if (w->cap / w->page_bytes <= w->pages) return NULL;
    return w->p + w->pages++ * (size_t)w->page_bytes;
}

static err_t no_room(const struct writer *w, struct err *e)
{
    return err_set(e, ERR_TOOBIG,
                   "the result does not fit in %zu bytes: row %u is the first "
                   "that is left",
                   w->cap, w->rows + 1);
}

static err_t add_child(struct sqlite_image *im, struct child c, struct err *e)
{
    if (im->n_children == im->cap_children) {
        size_t cap = im->cap_children ? im->cap_children * 2 : 64;
        struct child *p = realloc(im->child, cap * sizeof *p);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu pages of an image", cap);
        im->child = p;
        im->cap_children = cap;
    }
    im->child[im->n_children++] = c;
    return ERR_OK;
}

static err_t open_leaf(struct writer *w, struct err *e)
{
    w->leaf = new_page(w);
    if (!w->leaf) return no_room(w, e);
    w->leaf_page = w->pages;
    w->leaf_cells = 0;
    w->pointers = w->leaf + SQLFMT_LEAF_HEADER;
    w->content = w->leaf + w->page_bytes;
    return ERR_OK;
}

static err_t close_leaf(struct writer *w, struct err *e)
{
    uint8_t *header = w->leaf + (w->leaf_page == 1 ? SQLFMT_FILE_HEADER : 0);
    memset(header, 0, SQLFMT_LEAF_HEADER);
    header[SQLFMT_AT_TYPE] = SQLFMT_LEAF;
    sqlfmt_put16(header + SQLFMT_AT_CELLS, w->leaf_cells);
    sqlfmt_put16(header + SQLFMT_AT_CONTENT, (uint32_t)(w->content - w->leaf));
    memset(w->pointers, 0, (size_t)(w->content - w->pointers));
    w->leaf = NULL;
    return add_child(w->im, (struct child){ w->leaf_page, w->rows }, e);
}

static inline size_t leaf_room(const struct writer *w) // for a cell and its pointer
{
    return (size_t)(w->content - w->pointers);
}

static inline void point_at_cell(struct writer *w)
{
    sqlfmt_put16(w->pointers, (uint32_t)(w->content - w->leaf));
    w->pointers += 2;
    w->leaf_cells++;
    w->rows++;
}

static err_t make_room(struct writer *w, size_t cell, struct err *e)
{
    if (w->leaf && leaf_room(w) >= cell + 2) return ERR_OK;
    if (w->leaf) TRY(close_leaf(w, e));
    return open_leaf(w, e);
}

// The record stands in a slot, with writable bytes before it; so has the page while it has
// room. That allows copying backwards in whole steps.
static err_t put_short(struct writer *w, uint8_t *record, const uint8_t *end, struct err *e)
{
    enum { STEP = 16 };
    uint8_t *from = sqlfmt_varint_before(record, (uint64_t)w->rows + 1);
    from = sqlfmt_varint_before(from, (uint64_t)(end - record));
    size_t n = (size_t)(end - from);
    if (__builtin_expect(!w->leaf || leaf_room(w) < n + 2 + STEP, 0)) {
        TRY(make_room(w, n, e));
        w->content -= n;
        memcpy(w->content, from, n);
        point_at_cell(w);
        return ERR_OK;
    }
    uint8_t *to = w->content;
    w->content -= n;
    do {
        to -= STEP;
        end -= STEP;
        memcpy(to, end, STEP);
    } while (to > w->content);
    point_at_cell(w);
    return ERR_OK;
}

// A payload on its way into a cell and, where that ends, into overflow pages.
struct spill {
    struct writer *w;
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
        uint8_t *page = new_page(s->w);
        if (!page) return no_room(s->w, e);
        sqlfmt_put32(s->link, s->w->pages);
        s->link = page;
        sqlfmt_put32(page, 0);
        s->at = page + SQLFMT_LINK;
        s->room = s->w->page_bytes - SQLFMT_LINK;
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

static err_t put_long(struct writer *w, const struct sqlite_rows *x, struct err *e)
{
    uint64_t rowid = (uint64_t)w->rows + 1;
    if (x->payload > SQLFMT_MAX_RECORD)
        return err_set(e, ERR_TOOBIG, "row %llu has %llu bytes, a row of SQLite at most %d",
                       (unsigned long long)rowid, (unsigned long long)x->payload,
                       SQLFMT_MAX_RECORD);
    uint32_t local = sqlfmt_local(w->page_bytes, x->payload);
    bool spills = local < x->payload;
    size_t n = sqlfmt_varint_bytes(x->payload) + sqlfmt_varint_bytes(rowid) + local +
               (spills ? SQLFMT_LINK : 0);
    TRY(make_room(w, n, e));
    w->content -= n;
    uint8_t *at = sqlfmt_varint_put(sqlfmt_varint_put(w->content, x->payload), rowid);
    if (spills) {
        TRY(put_spilling(&(struct spill){ w, at, local, at + local }, x, e));
    } else {
        memcpy(at, x->header, x->header_bytes);
        put_values(at + x->header_bytes, at + local, x);
    }
    point_at_cell(w);
    return ERR_OK;
}

static err_t put_interior(struct writer *w, const struct child *c, size_t n, struct err *e)
{
    uint8_t *page = new_page(w);
    if (!page) return no_room(w, e);
    uint8_t *pointer = page + SQLFMT_INTERIOR_HEADER, *content = page + w->page_bytes;
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
static err_t build_tree(struct writer *w, uint32_t *root, struct err *e)
{
    struct sqlite_image *im = w->im;
    size_t most =
        (w->page_bytes - SQLFMT_INTERIOR_HEADER) / (2 + SQLFMT_LINK + KEY_MAX_BYTES);
    while (im->n_children > 1) {
        size_t n = im->n_children, parents = (n + most - 1) / most;
        const struct child *c = im->child;
        for (size_t i = 0; i < parents; i++) {
            size_t k = n / parents + (i < n % parents);
            TRY(put_interior(w, c, k, e));
            c += k;
            im->child[i] = (struct child){ w->pages, c[-1].last_row };
        }
        im->n_children = parents;
    }
    *root = im->child[0].page;
    return ERR_OK;
}

static void put_file_header(uint8_t *p, uint32_t page_bytes)
{
    memset(p, 0, SQLFMT_FILE_HEADER);
    memcpy(p, SQLFMT_MAGIC, sizeof SQLFMT_MAGIC);
    sqlfmt_put16(p + SQLFMT_AT_PAGE_BYTES, page_bytes == SQLFMT_PAGE_MAX ? 1 : page_bytes);
    p[SQLFMT_AT_WRITE_VERSION] = p[SQLFMT_AT_READ_VERSION] = 1;
    memcpy(p + SQLFMT_AT_FRACTIONS, "\x40\x20\x20", 3);
    sqlfmt_put32(p + SQLFMT_AT_CHANGES, 1);
    sqlfmt_put32(p + SQLFMT_AT_COOKIE, SCHEMA_COOKIE);
    sqlfmt_put32(p + SQLFMT_AT_SCHEMA_FORMAT, 4);
    sqlfmt_put32(p + SQLFMT_AT_ENCODING, 1);
    sqlfmt_put32(p + SQLFMT_AT_VALID_FOR, 1);
    sqlfmt_put32(p + SQLFMT_AT_VERSION, LIBRARY_VERSION);
}

// The one row of sqlite_schema: ('table', 't', 't', root, sql).
static err_t put_schema_row(struct writer *w, struct slice sql, struct err *e)
{
    uint8_t header[16], root[ROOT_MAX] = { 0 };
    uint8_t *h = header + 1;
    *h++ = 13 + 2 * 5;
    *h++ = 13 + 2 * 1;
    *h++ = 13 + 2 * 1;
    *h++ = ROOT_MAX; // the serial type of four bytes is 4
    h = sqlfmt_varint_put(h, 13 + 2 * (uint64_t)sql.n);
    header[0] = (uint8_t)(h - header);
    struct sqlite_value v[] = {
        { .p = (const uint8_t *)"table", .n = 5 },
        { .p = (const uint8_t *)"tt", .n = 2 },
        { .p = root, .n = sizeof root },
        { .p = sql.p, .n = (uint32_t)sql.n },
    };
    struct sqlite_rows row = {
        .n_cols = 4, .value = v, .header = header, .header_bytes = header[0]
    };
    row.payload = header[0] + 5 + 2 + ROOT_MAX + sql.n;
    TRY(put_long(w, &row, e));
    w->im->root_at = (size_t)(w->content - w->p) + sqlfmt_varint_bytes(row.payload) + 1 +
                     header[0] + 5 + 2;
    return ERR_OK;
}

// Page 1 has less room than other pages. A row that fits everywhere but there has a leaf of
// its own, and page 1 is an interior page with that one child.
static void make_page_1_interior(struct writer *w)
{
    uint8_t *header = w->p + SQLFMT_FILE_HEADER;
    header[SQLFMT_AT_TYPE] = SQLFMT_INTERIOR;
    sqlfmt_put32(header + SQLFMT_AT_RIGHT, w->leaf_page);
}

static err_t make_head(struct sqlite_image *im, struct slice sql, struct err *e)
{
    size_t pages = 3 + sql.n / (im->page_bytes - SQLFMT_LINK);
    TRY(buf_reserve(&im->head, pages * im->page_bytes, e));
    struct writer w = { .im = im,
                        .p = im->head.p,
                        .cap = pages * im->page_bytes,
                        .page_bytes = im->page_bytes };
    TRY(open_leaf(&w, e));
    put_file_header(w.leaf, im->page_bytes);
    w.pointers += SQLFMT_FILE_HEADER;
    TRY(put_schema_row(&w, sql, e));
    bool moved = w.leaf_page != 1;
    TRY(close_leaf(&w, e));
    if (moved) make_page_1_interior(&w);
    im->head.n = w.pages * (size_t)im->page_bytes;
    return ERR_OK;
}

err_t sqlite_image_sql(const struct schema *s, struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "CREATE TABLE t("));
    for (uint32_t i = 0; i < s->n; i++) {
        TRY(buf_printf(out, e, "%s\"", i ? "," : ""));
        for (const char *p = s->f[i].name; *p; p++)
            TRY(buf_add(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1, e));
        const char *decl = type_sqlite_decl(s->f[i].type);
        TRY(buf_printf(out, e, "\"%s%s", *decl ? " " : "", decl));
    }
    return buf_printf(out, e, ")");
}

static err_t build(struct sqlite_image *im, const struct schema *s, struct err *e)
{
    TRY(sqlite_rows_init(&im->rows, s->n, e));
    im->n_cols = s->n;
    im->type = calloc(s->n, sizeof *im->type);
    if (!im->type) return err_set(e, ERR_NOMEM, "out of memory: an image's columns");
    for (uint32_t i = 0; i < s->n; i++)
        im->type[i] = s->f[i].type;
    struct buf sql = { 0 };
    err_t rc = sqlite_image_sql(s, &sql, e);
    if (rc == ERR_OK && sql.n > SQLFMT_MAX_RECORD / 2)
        rc = err_set(e, ERR_TOOBIG, "the names of %u columns take %zu bytes", s->n, sql.n);
    if (rc == ERR_OK) rc = make_head(im, (struct slice){ sql.p, sql.n }, e);
    buf_free(&sql);
    return rc;
}

err_t sqlite_image_new(struct sqlite_image **out, const struct schema *s,
                       uint32_t page_bytes, struct err *e)
{
    if (!sqlfmt_page_bytes_ok(page_bytes))
        return err_set(e, ERR_INVALID,
                       "a page of %u bytes is not a power of 2 from %d to %d", page_bytes,
                       SQLFMT_PAGE_MIN, SQLFMT_PAGE_MAX);
    struct sqlite_image *im = calloc(1, sizeof *im);
    if (!im) return err_set(e, ERR_NOMEM, "out of memory: a SQLite image");
    im->page_bytes = page_bytes;
    err_t rc = build(im, s, e);
    if (rc == ERR_OK)
        *out = im;
    else
        sqlite_image_free(&im);
    return rc;
}

void sqlite_image_free(struct sqlite_image **im)
{
    if (!*im) return;
    sqlite_rows_close(&(*im)->rows);
    buf_free(&(*im)->head);
    free((*im)->child);
    free((*im)->type);
    free(*im);
    *im = NULL;
}

static err_t check_columns(const struct sqlite_image *im, const struct batch *b,
                           struct err *e)
{
    if (b->n_cols != im->n_cols)
        return err_set(e, ERR_INVALID, "a batch of %u columns for a table of %u", b->n_cols,
                       im->n_cols);
    for (uint32_t i = 0; i < b->n_cols; i++)
        if (b->col[i].type != im->type[i] && b->col[i].type != TYPE_ANY)
            return err_set(e, ERR_INVALID, "column %u is %s in the batch, %s in the table",
                           i + 1, type_name(b->col[i].type), type_name(im->type[i]));
    return ERR_OK;
}

static err_t put_rows(struct writer *w, const struct batch *b, struct err *e)
{
    struct sqlite_rows *x = &w->im->rows;
    ptrdiff_t local_max = sqlfmt_local_max(w->page_bytes);
    sqlite_rows_start(x);
    while (w->rows < b->rows) {
        uint32_t first = w->rows, left = b->rows - first;
        uint32_t n = left < SQLITE_ROWS_BLOCK ? left : SQLITE_ROWS_BLOCK;
        sqlite_rows_block(x, b, first);
        for (uint32_t r = 0; r < n; r++) {
            uint8_t *record = sqlite_rows_record(x, r);
            if (__builtin_expect((x->odd >> r & 1) || x->end[r] - record > local_max, 0)) {
                sqlite_rows_long(x, b, first + r);
                TRY(put_long(w, x, e));
            } else {
                TRY(put_short(w, record, x->end[r], e));
            }
        }
    }
    return ERR_OK;
}

err_t sqlite_image_write(struct sqlite_image *im, const struct batch *b, struct region *to,
                         struct err *e)
{
    TRY(check_columns(im, b, e));
    assert(to->n <= to->cap);
    struct writer w = {
        .im = im, .p = to->p + to->n, .cap = to->cap - to->n, .page_bytes = im->page_bytes
    };
    if (w.cap < im->head.n) return no_room(&w, e);
    w.pages = (uint32_t)(im->head.n / im->page_bytes);
    im->n_children = 0;
    TRY(open_leaf(&w, e)); // an empty table has a leaf too
    TRY(put_rows(&w, b, e));
    TRY(close_leaf(&w, e));
    uint32_t root;
    TRY(build_tree(&w, &root, e));
    memcpy(w.p, im->head.p, im->head.n);
    sqlfmt_put32(w.p + SQLFMT_AT_PAGES, w.pages);
    sqlfmt_put32(w.p + im->root_at, root);
    to->n += w.pages * (size_t)im->page_bytes;
    return ERR_OK;
}

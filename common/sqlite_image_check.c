// Accepts the images that sqlite_image_write makes and no looser ones: cells stand without
// gaps in the order of their pointers, so that none can overlap; varints are as short as
// they can be and below 2^32, so that SQLite's several ways to read one agree.

#include "common/sqlfmt.h"
#include "common/sqlite_image.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BAD_SERIAL = 1 << 24 }; // more than any page holds, 2,000 times less than overflow

struct check {
    const uint8_t *p;
    uint32_t page_bytes, pages;
    uint8_t *used; // one bit a page
    uint32_t n_used;
    uint32_t n_columns, header_bytes; // of a record whose serial types take one byte each
    uint64_t rows, next_row;
    uint32_t leaf_depth; // 0: no leaf was seen
    uint32_t page, cell; // where we are, for the error
    uint32_t body[256];  // bytes by serial type; BAD_SERIAL: look closer
    struct err *e;
};

static err_t bad(const struct check *c, const char *what)
{
    if (c->page == 0)
        err_set(c->e, ERR_PROTO, "damaged image: %s", what);
    else
        err_set(c->e, ERR_PROTO, "damaged image: page %u, cell %u: %s", c->page, c->cell,
                what);
    return ERR_PROTO;
}

static const uint8_t *page_at(const struct check *c, uint32_t page)
{
    return c->p + (page - 1) * (size_t)c->page_bytes;
}

static err_t use_page(struct check *c, uint32_t page)
{
    if (page == 0 || page > c->pages) return bad(c, "page number out of range");
    if (page == sqlfmt_lock_page(c->page_bytes)) return bad(c, "use of the lock page");
    uint8_t bit = (uint8_t)(1 << (page % 8));
    if (c->used[page / 8] & bit) return bad(c, "page used twice");
    c->used[page / 8] |= bit;
    c->n_used++;
    return ERR_OK;
}

// NULL: it ends past `end`, is longer than it need be, or reaches 2^32.
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint32_t *out)
{
    if (p < end && *p < 128) {
        *out = *p;
        return p + 1;
    }
    if (p == end || *p == 128) return NULL;
    uint64_t v = 0;
    for (int i = 0; i < 5 && p < end; i++) {
        v = v << 7 | (*p & 127);
        if (*p++ < 128) {
            *out = (uint32_t)v;
            return v <= UINT32_MAX ? p : NULL;
        }
    }
    return NULL;
}

// A payload: its local part, then its overflow pages, which are known to be there.
struct payload {
    const struct check *c;
    const uint8_t *at, *end; // what is left of this piece
    uint32_t next;           // page of the next piece
    uint64_t left;           // bytes, this piece and all others
    uint64_t bytes;
};

static void next_piece(struct payload *s)
{
    const uint8_t *page = page_at(s->c, s->next);
    uint64_t room = s->c->page_bytes - SQLFMT_LINK;
    s->next = sqlfmt_get32(page);
    s->at = page + SQLFMT_LINK;
    s->end = s->at + (s->left < room ? s->left : room);
}

static bool payload_varint(struct payload *s, uint32_t *out)
{
    uint8_t b[5];
    uint32_t n = 0;
    do {
        if (s->left == 0 || n == sizeof b) return false;
        if (s->at == s->end) next_piece(s);
        b[n] = *s->at++;
        s->left--;
    } while (b[n++] >= 128);
    return get_varint(b, b + n, out) != NULL;
}

static bool payload_equals(struct payload *s, const void *want, size_t n)
{
    const uint8_t *w = want;
    if (s->left < n) return false;
    while (n) {
        if (s->at == s->end) next_piece(s);
        size_t k = (size_t)(s->end - s->at) < n ? (size_t)(s->end - s->at) : n;
        if (memcmp(s->at, w, k) != 0) return false;
        s->at += k;
        s->left -= k;
        w += k;
        n -= k;
    }
    return true;
}

// Overflow pages for exactly `left` bytes; the last one has no successor.
static err_t check_chain(struct check *c, uint32_t page, uint64_t left)
{
    uint64_t room = c->page_bytes - SQLFMT_LINK;
    for (;;) {
        TRY(use_page(c, page));
        page = sqlfmt_get32(page_at(c, page));
        if (left <= room) break;
        left -= room;
    }
    return page == 0 ? ERR_OK : bad(c, "overflow chain longer than its payload");
}

// The cell between p and end; leaves its payload in *s.
static err_t open_cell(struct check *c, const uint8_t *p, const uint8_t *end,
                       uint64_t rowid, struct payload *s)
{
    uint32_t bytes, row;
    p = get_varint(p, end, &bytes);
    if (p) p = get_varint(p, end, &row);
    if (!p) return bad(c, "cell header is malformed");
    if (row != rowid) return bad(c, "rowids are not 1 to n");
    if (bytes > SQLFMT_MAX_RECORD) return bad(c, "record larger than SQLite reads");
    uint32_t local = sqlfmt_local(c->page_bytes, bytes);
    bool spills = local < bytes;
    if ((size_t)(end - p) != local + (spills ? SQLFMT_LINK : 0))
        return bad(c, "cell has another size than its payload");
    *s = (struct payload){ c, p, p + local, 0, bytes, bytes };
    if (!spills) return ERR_OK;
    s->next = sqlfmt_get32(p + local);
    return check_chain(c, s->next, bytes - local);
}

static bool serial_body(uint32_t serial, uint64_t *sum)
{
    static const uint8_t FIXED[] = { 0, 1, 2, 3, 4, 6, 8, 8, 0, 0 };
    if (serial == 10 || serial == 11) return false;
    *sum += serial < 10 ? FIXED[serial] : (serial - 12) / 2;
    return true;
}

static err_t check_record(struct check *c, struct payload s)
{
    uint32_t header, serial, columns = 0;
    uint64_t bodies = 0;
    if (!payload_varint(&s, &header) || header > s.bytes)
        return bad(c, "record header is malformed");
    while (s.bytes - s.left < header) {
        if (!payload_varint(&s, &serial) || !serial_body(serial, &bodies))
            return bad(c, "serial type is malformed");
        columns++;
    }
    if (s.bytes - s.left != header) return bad(c, "record header has another length");
    if (columns != c->n_columns) return bad(c, "record has another number of columns");
    return bodies == s.left ? ERR_OK : bad(c, "record has another length than its values");
}

// True for the usual record: in one piece, every serial type in one byte.
static inline bool is_plain_record(const struct check *c, const struct payload *s)
{
    uint32_t header;
    if ((uint64_t)(s->end - s->at) != s->bytes || s->bytes < c->header_bytes) return false;
    const uint8_t *p = get_varint(s->at, s->end, &header);
    if (!p || header != c->header_bytes) return false;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < c->n_columns; i++)
        sum += c->body[p[i]];
    return sum + header == s->bytes;
}

static err_t check_row(struct check *c, const uint8_t *p, const uint8_t *end)
{
    struct payload s;
    TRY(open_cell(c, p, end, c->next_row, &s));
    if (!is_plain_record(c, &s)) TRY(check_record(c, s));
    c->next_row++;
    return ERR_OK;
}

// ('table', 't', 't', root, sql)
static err_t check_schema_row(struct check *c, const uint8_t *p, const uint8_t *end,
                              const char *sql, uint32_t *root)
{
    struct payload s;
    TRY(open_cell(c, p, end, 1, &s));
    size_t sql_bytes = strlen(sql);
    uint32_t header, serial[5], width;
    bool ok = payload_varint(&s, &header);
    for (int i = 0; i < 5; i++)
        ok = ok && payload_varint(&s, &serial[i]);
    ok = ok && s.bytes - s.left == header && serial[0] == 13 + 2 * 5 && serial[1] == 15 &&
         serial[2] == 15 && serial[3] >= 1 && serial[3] <= 4 &&
         sql_bytes < UINT32_MAX / 4 && serial[4] == 13 + 2 * sql_bytes;
    ok = ok && s.left == 5 + 2 + serial[3] + sql_bytes && payload_equals(&s, "tablett", 7);
    if (!ok) return bad(c, "the schema is not that of one table");
    *root = 0;
    for (width = serial[3]; width; width--, s.at++, s.left--) {
        if (s.at == s.end) next_piece(&s);
        *root = *root << 8 | *s.at;
    }
    return payload_equals(&s, sql, sql_bytes) ? ERR_OK
                                              : bad(c, "the table has other columns");
}

// A page of cells: `header` at its begin, cells in [content, end).
struct cells {
    const uint8_t *page, *pointers;
    uint32_t n, content, end; // end: where the previous cell began
};

static err_t open_cells(struct check *c, const uint8_t *page, const uint8_t *header,
                        uint32_t header_bytes, struct cells *x)
{
    c->cell = 0;
    x->page = page;
    x->pointers = header + header_bytes;
    x->n = sqlfmt_get16(header + SQLFMT_AT_CELLS);
    x->content = sqlfmt_get16(header + SQLFMT_AT_CONTENT);
    if (x->content == 0) x->content = SQLFMT_PAGE_MAX;
    x->end = c->page_bytes;
    if (sqlfmt_get16(header + SQLFMT_AT_FREEBLOCK) || header[SQLFMT_AT_FRAGMENTS])
        return bad(c, "free space between cells");
    if (x->content > c->page_bytes || x->content < x->pointers + 2 * x->n - page)
        return bad(c, "cells overlap the page's header");
    return ERR_OK;
}

static inline err_t next_cell(struct check *c, struct cells *x, uint32_t i,
                              const uint8_t **p, const uint8_t **end)
{
    c->cell = i;
    uint32_t at = sqlfmt_get16(x->pointers + 2 * i);
    if (at < x->content || at + SQLFMT_CELL_MIN > x->end)
        return bad(c, "cell pointer out of place");
    *p = x->page + at;
    *end = x->page + x->end;
    x->end = at;
    return ERR_OK;
}

static err_t close_cells(const struct check *c, const struct cells *x)
{
    return x->end == x->content ? ERR_OK : bad(c, "gap before the first cell");
}

static err_t check_leaf(struct check *c, const uint8_t *page, uint32_t depth)
{
    struct cells x;
    TRY(open_cells(c, page, page, SQLFMT_LEAF_HEADER, &x));
    if (x.n == 0 && depth > 1) return bad(c, "empty leaf");
    if (c->leaf_depth && c->leaf_depth != depth) return bad(c, "leaf at another depth");
    c->leaf_depth = depth;
    for (uint32_t i = 0; i < x.n; i++) {
        const uint8_t *p, *end;
        TRY(next_cell(c, &x, i, &p, &end));
        TRY(check_row(c, p, end));
    }
    return close_cells(c, &x);
}

static err_t check_tree(struct check *c, uint32_t number, uint32_t depth);

static err_t check_interior(struct check *c, const uint8_t *page, uint32_t depth)
{
    struct cells x;
    uint32_t number = c->page, key;
    TRY(open_cells(c, page, page, SQLFMT_INTERIOR_HEADER, &x));
    if (x.n == 0) return bad(c, "interior page of one child");
    for (uint32_t i = 0; i < x.n; i++) {
        const uint8_t *p, *end;
        TRY(next_cell(c, &x, i, &p, &end));
        if (end - p < SQLFMT_LINK || get_varint(p + SQLFMT_LINK, end, &key) != end)
            return bad(c, "interior cell is malformed");
        TRY(check_tree(c, sqlfmt_get32(p), depth + 1));
        c->page = number; // no longer that of the child
        c->cell = i;
        if (key != c->next_row - 1) return bad(c, "key is not the last row below it");
    }
    TRY(check_tree(c, sqlfmt_get32(page + SQLFMT_AT_RIGHT), depth + 1));
    return close_cells(c, &x);
}

static err_t check_tree(struct check *c, uint32_t number, uint32_t depth)
{
    TRY(use_page(c, number));
    c->page = number;
    c->cell = 0;
    const uint8_t *page = page_at(c, number);
    if (page[SQLFMT_AT_TYPE] == SQLFMT_LEAF) return check_leaf(c, page, depth);
    if (page[SQLFMT_AT_TYPE] != SQLFMT_INTERIOR) return bad(c, "not a page of a table");
    if (depth == SQLFMT_MAX_DEPTH) return bad(c, "tree too deep");
    return check_interior(c, page, depth);
}

// Page 1 holds the schema row, or is the parent of a leaf that does.
static err_t check_schema(struct check *c, const char *sql, uint32_t *root)
{
    TRY(use_page(c, 1));
    c->page = 1;
    struct cells x;
    const uint8_t *p, *end, *page = c->p, *header = c->p + SQLFMT_FILE_HEADER;
    if (header[SQLFMT_AT_TYPE] == SQLFMT_INTERIOR) {
        TRY(open_cells(c, page, header, SQLFMT_INTERIOR_HEADER, &x));
        if (x.n || x.content != c->page_bytes) return bad(c, "cells in the schema's root");
        uint32_t leaf = sqlfmt_get32(header + SQLFMT_AT_RIGHT);
        TRY(use_page(c, leaf));
        c->page = leaf;
        page = header = page_at(c, leaf);
    }
    if (header[SQLFMT_AT_TYPE] != SQLFMT_LEAF) return bad(c, "not a page of a table");
    TRY(open_cells(c, page, header, SQLFMT_LEAF_HEADER, &x));
    if (x.n != 1) return bad(c, "the schema has not one row");
    TRY(next_cell(c, &x, 0, &p, &end));
    TRY(check_schema_row(c, p, end, sql, root));
    return close_cells(c, &x);
}

static err_t check_file_header(struct check *c, size_t n)
{
    const uint8_t *p = c->p;
    if (n < SQLFMT_PAGE_MIN || memcmp(p, SQLFMT_MAGIC, sizeof SQLFMT_MAGIC) != 0)
        return bad(c, "not a SQLite database");
    c->page_bytes = sqlfmt_get16(p + SQLFMT_AT_PAGE_BYTES);
    if (c->page_bytes == 1) c->page_bytes = SQLFMT_PAGE_MAX;
    if (!sqlfmt_page_bytes_ok(c->page_bytes)) return bad(c, "impossible page size");
    c->pages = sqlfmt_get32(p + SQLFMT_AT_PAGES);
    if (n % c->page_bytes || n / c->page_bytes != c->pages)
        return bad(c, "its length is not its number of pages");
    if (p[SQLFMT_AT_WRITE_VERSION] != 1 || p[SQLFMT_AT_READ_VERSION] != 1)
        return bad(c, "not in rollback-journal mode");
    if (p[SQLFMT_AT_RESERVED] || memcmp(p + SQLFMT_AT_FRACTIONS, "\x40\x20\x20", 3) != 0)
        return bad(c, "reserved bytes or payload fractions");
    if (sqlfmt_get32(p + SQLFMT_AT_CHANGES) != sqlfmt_get32(p + SQLFMT_AT_VALID_FOR))
        return bad(c, "its number of pages is not valid");
    if (sqlfmt_get32(p + SQLFMT_AT_FREELIST) || sqlfmt_get32(p + SQLFMT_AT_FREE_PAGES))
        return bad(c, "it has free pages");
    if (sqlfmt_get32(p + SQLFMT_AT_SCHEMA_FORMAT) != 4 ||
        sqlfmt_get32(p + SQLFMT_AT_ENCODING) != 1)
        return bad(c, "another schema format or text encoding");
    if (sqlfmt_get32(p + SQLFMT_AT_CACHE) || sqlfmt_get32(p + SQLFMT_AT_VACUUM_ROOT) ||
        sqlfmt_get32(p + SQLFMT_AT_INCREMENTAL))
        return bad(c, "it has a pointer map or a cache size");
    return ERR_OK;
}

static err_t check_pages(struct check *c, const char *sql)
{
    uint32_t root;
    TRY(check_schema(c, sql, &root));
    c->next_row = 1;
    TRY(check_tree(c, root, 1));
    c->page = 0;
    if (c->next_row - 1 != c->rows)
        return err_set(c->e, ERR_PROTO, "damaged image: %llu rows, wanted %llu",
                       (unsigned long long)c->next_row - 1, (unsigned long long)c->rows);
    uint32_t usable = c->pages - (c->pages >= sqlfmt_lock_page(c->page_bytes));
    return c->n_used == usable ? ERR_OK : bad(c, "pages that nothing uses");
}

static void fill_bodies(struct check *c)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t bytes = 0;
        c->body[i] = i < 128 && serial_body(i, &bytes) ? (uint32_t)bytes : BAD_SERIAL;
    }
}

err_t sqlite_image_check(const uint8_t *p, size_t n, const char *sql, uint32_t n_columns,
                         uint64_t rows, struct err *e)
{
    struct check c = { .p = p, .n_columns = n_columns, .rows = rows, .e = e };
    assert(n_columns > 0 && n_columns <= SCHEMA_MAX_COLUMNS);
    TRY(check_file_header(&c, n));
    c.header_bytes = n_columns + (n_columns + 1 < 128 ? 1 : 2);
    fill_bodies(&c);
    c.used = calloc(c.pages / 8 + 1, 1);
    if (!c.used)
        return err_set(e, ERR_NOMEM, "out of memory: a check of %u pages", c.pages);
    err_t rc = check_pages(&c, sql);
    free(c.used);
    return rc;
}

#include "common/sqlite_image_read.h"

#include "common/sqlfmt.h"

struct walk {
    const uint8_t *p;
    uint32_t page_bytes;
    struct buf whole; // a record that has overflow pages
    sqlite_image_row_fn *fn;
    void *arg;
};

static const uint8_t *page_at(const struct walk *w, uint32_t page)
{
    return w->p + (page - 1) * (size_t)w->page_bytes;
}

static const uint8_t *get_varint(const uint8_t *p, uint32_t *out)
{
    for (*out = 0;; p++) {
        *out = *out << 7 | (*p & 127);
        if (*p < 128) return p + 1;
    }
}

// The table's root page stands in the one row of sqlite_schema, behind 'table', 't', 't'.
static uint32_t find_root(const struct walk *w)
{
    const uint8_t *page = w->p, *header = w->p + SQLFMT_FILE_HEADER;
    uint32_t x, header_bytes, width, root = 0;
    if (header[SQLFMT_AT_TYPE] == SQLFMT_INTERIOR)
        page = header = page_at(w, sqlfmt_get32(header + SQLFMT_AT_RIGHT));
    const uint8_t *p = page + sqlfmt_get16(header + SQLFMT_LEAF_HEADER);
    p = get_varint(get_varint(p, &x), &x);
    const uint8_t *serial = get_varint(p, &header_bytes) + 3;
    get_varint(serial, &width); // of an integer: its bytes
    for (p += header_bytes + strlen("tablett"); width; width--)
        root = root << 8 | *p++;
    return root;
}

static err_t gather(struct walk *w, const uint8_t *p, uint32_t local, uint32_t bytes,
                    struct err *e)
{
    w->whole.n = 0;
    TRY(buf_add(&w->whole, p, local, e));
    uint32_t next = sqlfmt_get32(p + local);
    while (w->whole.n < bytes) {
        const uint8_t *page = page_at(w, next);
        size_t left = bytes - w->whole.n, room = w->page_bytes - SQLFMT_LINK;
        TRY(buf_add(&w->whole, page + SQLFMT_LINK, left < room ? left : room, e));
        next = sqlfmt_get32(page);
    }
    return ERR_OK;
}

static err_t walk_leaf(struct walk *w, const uint8_t *page, struct err *e)
{
    uint32_t n = sqlfmt_get16(page + SQLFMT_AT_CELLS), bytes, rowid;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = page + sqlfmt_get16(page + SQLFMT_LEAF_HEADER + 2 * i);
        p = get_varint(get_varint(p, &bytes), &rowid);
        uint32_t local = sqlfmt_local(w->page_bytes, bytes);
        struct slice record = { p, bytes };
        if (local < bytes) {
            TRY(gather(w, p, local, bytes, e));
            record.p = w->whole.p;
        }
        TRY(w->fn(w->arg, record, e));
    }
    return ERR_OK;
}

static err_t walk_tree(struct walk *w, uint32_t number, struct err *e)
{
    const uint8_t *page = page_at(w, number);
    if (page[SQLFMT_AT_TYPE] == SQLFMT_LEAF) return walk_leaf(w, page, e);
    uint32_t n = sqlfmt_get16(page + SQLFMT_AT_CELLS);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = sqlfmt_get16(page + SQLFMT_INTERIOR_HEADER + 2 * i);
        TRY(walk_tree(w, sqlfmt_get32(page + at), e));
    }
    return walk_tree(w, sqlfmt_get32(page + SQLFMT_AT_RIGHT), e);
}

err_t sqlite_image_each(struct slice image, sqlite_image_row_fn *fn, void *arg,
                        struct err *e)
{
    struct walk w = { .p = image.p, .fn = fn, .arg = arg };
    w.page_bytes = sqlfmt_get16(image.p + SQLFMT_AT_PAGE_BYTES);
    if (w.page_bytes == 1) w.page_bytes = SQLFMT_PAGE_MAX;
    err_t rc = walk_tree(&w, find_root(&w), e);
    buf_free(&w.whole);
    return rc;
}

#include "common/sqlite_image.h"

#include "common/sqlfmt.h"
#include "common/sqlite_image_read.h"
#include "common/sqlite_rows.h"
#include "common/sqlite_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_COOKIE = 1,
    LIBRARY_VERSION = 3040001,
    ROOT_BYTES = 4, // of a root page number: always four, so that it can be patched
    BEFORE_ROOT = 5 + 1 + 1, // bytes of "table", "t", "t"
};

struct sqlite_image {
    uint32_t page_bytes;
    uint32_t n_cols;
    enum type *type; // n_cols, as declared
    struct sqlite_rows rows;
    struct buf head; // page 1 and the overflow pages of the schema row
    size_t root_at;  // offset in it of the table's root page number
    struct sqlite_tree tree;
};

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

// Page 1 has less room than other pages. A row that fits everywhere but there stands on a
// leaf of its own: page 2, the one child of page 1.
static err_t start_schema(struct sqlite_image *im, uint64_t payload, size_t cap,
                          struct err *e)
{
    uint32_t page_bytes = im->page_bytes;
    uint8_t *p = im->head.p, *header = p + SQLFMT_FILE_HEADER;
    size_t cell = sqlfmt_leaf_cell_bytes(page_bytes, payload, 1);
    bool fits = cell + 2 + SQLFMT_LEAF_HEADER + SQLFMT_FILE_HEADER <= page_bytes;
    memset(p, 0, page_bytes);
    if (!fits) {
        header[SQLFMT_AT_TYPE] = SQLFMT_INTERIOR;
        sqlfmt_put16(header + SQLFMT_AT_CONTENT, page_bytes);
        sqlfmt_put32(header + SQLFMT_AT_RIGHT, 2);
    }
    return sqlite_tree_start(&im->tree, p, cap, page_bytes, fits ? 0 : 1, e);
}

// The one row of sqlite_schema: ('table', 't', 't', root, sql).
static err_t put_schema_row(struct sqlite_image *im, struct slice sql, size_t cap,
                            struct err *e)
{
    uint8_t root[ROOT_BYTES] = { 0 };
    uint8_t header[16] = { 0, 13 + 2 * 5, 13 + 2 * 1, 13 + 2 * 1,
                           4 /* a four-byte integer */ };
    header[0] = (uint8_t)(sqlfmt_varint_put(header + 5, 13 + 2 * (uint64_t)sql.n) - header);
    struct sqlite_value v[] = {
        { .p = (const uint8_t *)"tablett", .n = BEFORE_ROOT },
        { .p = root, .n = ROOT_BYTES },
        { .p = sql.p, .n = (uint32_t)sql.n },
    };
    struct sqlite_rows row = {
        .n_cols = 3, .value = v, .header = header, .header_bytes = header[0]
    };
    row.payload = header[0] + BEFORE_ROOT + ROOT_BYTES + sql.n;
    TRY(start_schema(im, row.payload, cap, e));
    TRY(sqlite_tree_row(&im->tree, &row, e));
    im->root_at = (size_t)(im->tree.content - im->head.p) +
                  sqlfmt_varint_bytes(row.payload) + sqlfmt_varint_bytes(1) + header[0] +
                  BEFORE_ROOT;
    return ERR_OK;
}

static err_t make_head(struct sqlite_image *im, struct slice sql, struct err *e)
{
    uint32_t root;
    size_t pages = 3 + sql.n / (im->page_bytes - SQLFMT_LINK);
    TRY(buf_reserve(&im->head, pages * im->page_bytes, e));
    TRY(put_schema_row(im, sql, pages * im->page_bytes, e));
    TRY(sqlite_tree_finish(&im->tree, &root, e));
    put_file_header(im->head.p, im->page_bytes);
    im->head.n = im->tree.pages * (size_t)im->page_bytes;
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
    sqlite_tree_close(&(*im)->tree);
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

static err_t start_image(struct sqlite_image *im, const struct region *to, struct err *e)
{
    assert(to->n <= to->cap);
    return sqlite_tree_start(&im->tree, to->p + to->n, to->cap - to->n, im->page_bytes,
                             (uint32_t)(im->head.n / im->page_bytes), e);
}

static err_t finish_image(struct sqlite_image *im, struct region *to, struct err *e)
{
    uint8_t *p = to->p + to->n;
    uint32_t root;
    TRY(sqlite_tree_finish(&im->tree, &root, e));
    memcpy(p, im->head.p, im->head.n); // it fits: the table's pages stand behind it
    sqlfmt_put32(p + SQLFMT_AT_PAGES, im->tree.pages);
    sqlfmt_put32(p + im->root_at, root);
    to->n += im->tree.pages * (size_t)im->page_bytes;
    return ERR_OK;
}

err_t sqlite_image_write(struct sqlite_image *im, const struct batch *b, struct region *to,
                         struct err *e)
{
    TRY(check_columns(im, b, e));
    TRY(start_image(im, to, e));
    TRY(sqlite_tree_batch(&im->tree, &im->rows, b, e));
    return finish_image(im, to, e);
}

static err_t add_record(void *tree, struct slice record, struct err *e)
{
    struct sqlite_rows row = { .header = (uint8_t *)(uintptr_t)record.p,
                               .header_bytes = (uint32_t)record.n,
                               .payload = record.n };
    return sqlite_tree_row(tree, &row, e);
}

err_t sqlite_image_join(struct sqlite_image *im, const struct slice *image, size_t n,
                        struct region *to, struct err *e)
{
    TRY(start_image(im, to, e));
    for (size_t i = 0; i < n; i++)
        TRY(sqlite_image_each(image[i], add_record, &im->tree, e));
    return finish_image(im, to, e);
}

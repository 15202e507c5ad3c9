#include "common/sink.h"

#include "common/sqlite_image.h"

#include <stdlib.h>

// A result travels as whole pages: one of a few rows must not take two of 64 KiB.
static const struct size {
    uint32_t page_bytes, most, row_most; // bytes of all rows, and of one on average
} sizes[] = {
    { 1024, 700, 700 },
    { 8192, 48 << 10, 1024 },
    { SQLITE_IMAGE_PAGE, UINT32_MAX, UINT32_MAX },
};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

struct images {
    struct sqlite_image *of[N_SIZES];
};

static void close_image(void **state)
{
    struct images *x = *state;
    for (int i = 0; x && i < N_SIZES; i++)
        sqlite_image_free(&x->of[i]);
    free(x);
    *state = NULL;
}

static err_t open_image(void **state, const struct schema *out, struct err *e)
{
    err_t rc = ERR_OK;
    struct images *x = calloc(1, sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory: a sink");
    *state = x;
    for (int i = 0; rc == ERR_OK && i < N_SIZES; i++)
        rc = sqlite_image_new(&x->of[i], out, sizes[i].page_bytes, e);
    if (rc != ERR_OK) close_image(state);
    return rc;
}

static uint64_t text_bytes(const struct vec *v, uint32_t rows)
{
    uint64_t n = 0;
    if (v->absent) return 0;
    for (uint32_t i = 0; i < v->n_misfits; i++)
        n += v->misfit[i].len;
    if (v->type == TYPE_ANY)
        for (uint32_t r = 0; r < rows; r++)
            n += v->any[r].kind >= CELL_TEXT ? v->any[r].len : 0;
    else if (type_is_text(v->type))
        n += v->off[rows];
    return n;
}

// Not less than the rows take, nearly: the sizes leave room.
static uint64_t record_bytes(const struct batch *b)
{
    enum { CELL = 2 + 3 + 1, VALUE = 9, SMALL_ROWS = 8192 };
    uint64_t n = (uint64_t)b->rows * (CELL + (uint64_t)b->n_cols * VALUE);
    if (b->rows > SMALL_ROWS) return UINT32_MAX; // more than the smaller sizes hold
    for (uint32_t c = 0; c < b->n_cols; c++)
        n += text_bytes(&b->col[c], b->rows);
    return n;
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    const struct images *x = state;
    uint64_t bytes = record_bytes(b);
    int i = 0;
    while (i + 1 < N_SIZES &&
           (bytes > sizes[i].most || bytes > (uint64_t)b->rows * sizes[i].row_most))
        i++;
    return sqlite_image_write(x->of[i], b, to, e);
}

const struct sink_ops sink_sqlite = { "sqlite", open_image, encode, close_image };

#include "common/sink.h"

#include "common/sqlite_image.h"

static err_t open_image(void **state, const struct schema *out, struct err *e)
{
    struct sqlite_image *im = NULL;
    TRY(sqlite_image_new(&im, out, SQLITE_IMAGE_PAGE, e));
    *state = im;
    return ERR_OK;
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    return sqlite_image_write(state, b, to, e);
}

static void close_image(void **state)
{
    struct sqlite_image *im = *state;
    sqlite_image_free(&im);
    *state = NULL;
}

const struct sink_ops sink_sqlite = { "sqlite", open_image, encode, close_image };

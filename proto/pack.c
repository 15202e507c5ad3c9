#include "proto/pack.h"

#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = 1 };

struct packer {
    ZSTD_CCtx *ctx;
};

err_t packer_new(struct packer **out, struct err *e)
{
    struct packer *p = malloc(sizeof *p);
    if (p) p->ctx = ZSTD_createCCtx();
    if (!p || !p->ctx) {
        free(p);
        return err_set(e, ERR_NOMEM, "out of memory: zstd");
    }
    *out = p;
    return ERR_OK;
}

void packer_free(struct packer **p)
{
    if (!*p) return;
    ZSTD_freeCCtx((*p)->ctx);
    free(*p);
    *p = NULL;
}

size_t pack_bound(size_t n)
{
    return ZSTD_compressBound(n);
}

size_t pack_bytes(struct packer *p, const void *from, size_t n, void *out, size_t cap)
{
    if (n < PACK_MIN || n > INT32_MAX) return 0;
    size_t worth = n - n / 8;
    size_t k = ZSTD_compressCCtx(p->ctx, out, cap, from, n, LEVEL);
    return !ZSTD_isError(k) && k < worth ? k : 0;
}

err_t unpack_bytes(const void *from, size_t n, void *to, size_t want, struct err *e)
{
    if (ZSTD_getFrameContentSize(from, n) != want ||
        ZSTD_findFrameCompressedSize(from, n) != n)
        return err_set(e, ERR_PROTO, "a packed payload is not one frame of %zu bytes",
                       want);
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (!ctx) return err_set(e, ERR_NOMEM, "out of memory: zstd");
    size_t k = ZSTD_decompressDCtx(ctx, to, want, from, n);
    ZSTD_freeDCtx(ctx);
    if (!ZSTD_isError(k) && k == want) return ERR_OK;
    return err_set(e, ERR_PROTO, "a packed payload is damaged: %s",
                   ZSTD_isError(k) ? ZSTD_getErrorName(k) : "too short");
}

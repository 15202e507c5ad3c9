// spec_codec - what the files that encode and decode a spec share.

#ifndef PROTO_SPEC_CODEC_H
#define PROTO_SPEC_CODEC_H

#include "proto/spec.h"
#include "proto/wire.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

// Encoding. A failed pack call leaves the reason in the writer.

struct enc {
    msgpack_packer pk;
    struct wire_writer w;
};

#define PACK(call)                       \
    do {                                 \
        if ((call) != 0) return x->w.rc; \
    } while (0)

static inline err_t enc_array(struct enc *x, size_t n, size_t max, const char *what)
{
    if (n > max)
        return err_set(x->w.e, ERR_TOOBIG, "%zu %s: a job may have %zu", n, what, max);
    PACK(msgpack_pack_array(&x->pk, n));
    return ERR_OK;
}

static inline err_t enc_str(struct enc *x, const void *p, size_t n, size_t max,
                            const char *what)
{
    if (n > max)
        return err_set(x->w.e, ERR_TOOBIG, "%s of %zu bytes: the limit is %zu", what, n,
                       max);
    if (wire_utf8(p, n) != n) return err_set(x->w.e, ERR_INVALID, "%s is not UTF-8", what);
    PACK(msgpack_pack_str(&x->pk, n));
    PACK(msgpack_pack_str_body(&x->pk, p, n));
    return ERR_OK;
}

static inline err_t enc_text(struct enc *x, const char *s, const char *what)
{
    return enc_str(x, s ? s : "", s ? strlen(s) : 0, SPEC_TEXT_MAX, what);
}

static inline err_t enc_bin(struct enc *x, const void *p, size_t n, size_t max,
                            const char *what)
{
    if (n > max)
        return err_set(x->w.e, ERR_TOOBIG, "%s of %zu bytes: the limit is %zu", what, n,
                       max);
    PACK(msgpack_pack_bin(&x->pk, n));
    PACK(msgpack_pack_bin_body(&x->pk, p, n));
    return ERR_OK;
}

// Decoding. Every object is looked at by one of the dec_ functions; what they took belongs
// to the spec at once, so that spec_free finds it when a later one fails.

typedef msgpack_object obj;

static inline err_t dec_array(const obj *o, size_t min, size_t max, const char *what,
                              struct err *e)
{
    if (o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size >= min &&
        o->via.array.size <= max)
        return ERR_OK;
    return err_set(e, ERR_PROTO, "%s: not a list of %zu to %zu", what, min, max);
}

// msgpack gives an empty string no pointer.
static inline bool is_text(const obj *o)
{
    uint32_t n = o->via.str.size;
    return o->type == MSGPACK_OBJECT_STR && n <= SPEC_TEXT_MAX &&
           (n == 0 || !memchr(o->via.str.ptr, 0, n));
}

static inline err_t dec_text(const obj *o, char **out, const char *what, struct err *e)
{
    if (!is_text(o))
        return err_set(e, ERR_PROTO, "%s: not a text of at most %d bytes without NUL", what,
                       SPEC_TEXT_MAX);
    uint32_t n = o->via.str.size;
    *out = strndup(n ? o->via.str.ptr : "", n);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory: %s", what);
}

// An empty text: nothing was said.
static inline err_t dec_optional(const obj *o, char **out, const char *what, struct err *e)
{
    TRY(dec_text(o, out, what, e));
    if (**out) return ERR_OK;
    free(*out);
    *out = NULL;
    return ERR_OK;
}

static inline err_t dec_u64(const obj *o, uint64_t max, uint64_t *out, const char *what,
                            struct err *e)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
        return err_set(e, ERR_PROTO, "%s: not an integer from 0 to %llu", what,
                       (unsigned long long)max);
    *out = o->via.u64;
    return ERR_OK;
}

// Never NULL for nothing: an array of no elements is still an array.
static inline err_t dec_alloc(void **out, size_t n, size_t size, const char *what,
                              struct err *e)
{
    *out = calloc(n ? n : 1, size);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory: %s", what);
}

static inline err_t dec_texts(const obj *o, char ***v, size_t *n, size_t max,
                              const char *what, struct err *e)
{
    TRY(dec_array(o, 0, max, what, e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof **v, what, e));
    *v = p;
    for (; *n < o->via.array.size; ++*n)
        TRY(dec_text(&o->via.array.ptr[*n], &(*v)[*n], what, e));
    return ERR_OK;
}

// Of proto/spec.c.
err_t enc_schema(struct enc *x, const struct schema *s);
err_t dec_schema(const obj *o, struct schema *s, struct err *e);
// Of proto/spec_step.c.
err_t enc_step(struct enc *x, const struct step *s);
err_t dec_steps(const obj *o, struct spec *s, struct err *e);
// Of proto/spec_files.c.
err_t enc_files(struct enc *x, const struct file_set *s);
err_t dec_files(const obj *o, struct file_set *s, struct err *e);
err_t enc_table_file(struct enc *x, const struct spec_table *t);
// 1 to max bytes without NUL.
err_t dec_name(const obj *o, size_t max, char **out, const char *what, struct err *e);
err_t dec_table_file(const obj *o, struct spec_table *t, struct err *e);
err_t dec_check_files(const struct spec *s,
                      struct err *e); // those that are named are there

// Of proto/spec_aggregate.c.
err_t enc_aggregate(struct enc *x, const struct agg *a);
err_t dec_aggregate(const obj *o, struct agg *a, struct err *e);

#endif

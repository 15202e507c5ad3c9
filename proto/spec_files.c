// The files of a job in its spec, and the tables that stand in them.

#include "proto/spec_codec.h"

err_t enc_table_file(struct enc *x, const struct spec_table *t)
{
    uint8_t digest[16];
    memcpy(digest, &t->digest.lo, 8);
    memcpy(digest + 8, &t->digest.hi, 8);
    if (t->csv_bytes > SPEC_TABLE_MAX)
        return err_set(x->w.e, ERR_TOOBIG, "%zu bytes: a lookup table may have %d MiB",
                       t->csv_bytes, SPEC_TABLE_MAX >> 20);
    PACK(msgpack_pack_array(&x->pk, 4));
    PACK(msgpack_pack_uint64(&x->pk, t->file));
    PACK(msgpack_pack_uint64(&x->pk, t->file_at));
    PACK(msgpack_pack_uint64(&x->pk, t->csv_bytes));
    return enc_bin(x, digest, sizeof digest, sizeof digest, "a digest");
}

err_t enc_files(struct enc *x, const struct file_set *s)
{
    TRY(enc_array(x, s->n, FILE_SET_MAX, "files"));
    for (size_t i = 0; i < s->n; i++) {
        const struct job_file *f = &s->v[i];
        PACK(msgpack_pack_array(&x->pk, 5));
        TRY(enc_bin(x, f->name, strlen(f->name), FILE_NAME_MAX, "name of a file"));
        TRY(enc_bin(x, f->path, strlen(f->path), FILE_PATH_MAX, "path of a file"));
        PACK(msgpack_pack_uint64(&x->pk, f->size));
        PACK(msgpack_pack_uint64(&x->pk, f->mode));
        TRY(enc_bin(x, f->digest.b, FILE_DIGEST, FILE_DIGEST, "a digest"));
    }
    return ERR_OK;
}

static bool is_bin(const obj *o, size_t n)
{
    return o->type == MSGPACK_OBJECT_BIN && o->via.bin.size == n;
}

err_t dec_table_file(const obj *o, struct spec_table *t, struct err *e)
{
    TRY(dec_array(o, 4, 4, "table in a file", e));
    const obj *part = o->via.array.ptr;
    uint64_t file = 0, bytes = 0;
    TRY(dec_u64(&part[0], FILE_SET_MAX, &file, "number of a file", e));
    TRY(dec_u64(&part[1], FILE_MAX_BYTES, &t->file_at, "begin of a table", e));
    TRY(dec_u64(&part[2], SPEC_TABLE_MAX, &bytes, "bytes of a table", e));
    if (!is_bin(&part[3], 16)) return err_set(e, ERR_PROTO, "table: no digest");
    memcpy(&t->digest.lo, part[3].via.bin.ptr, 8);
    memcpy(&t->digest.hi, part[3].via.bin.ptr + 8, 8);
    t->file = (uint32_t)file;
    t->csv_bytes = (size_t)bytes;
    return ERR_OK;
}

err_t dec_name(const obj *o, size_t max, char **out, const char *what, struct err *e)
{
    uint32_t n = o->via.bin.size;
    if (o->type != MSGPACK_OBJECT_BIN || n == 0 || n > max || memchr(o->via.bin.ptr, 0, n))
        return err_set(e, ERR_PROTO, "%s: not 1 to %zu bytes without NUL", what, max);
    *out = strndup(o->via.bin.ptr, n);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory: %s", what);
}

static err_t dec_file(const obj *o, struct job_file *f, struct err *e)
{
    uint64_t mode = 0;
    TRY(dec_array(o, 5, 5, "file", e));
    const obj *part = o->via.array.ptr;
    TRY(dec_name(&part[0], FILE_NAME_MAX, &f->name, "name of a file", e));
    TRY(dec_name(&part[1], FILE_PATH_MAX, &f->path, "path of a file", e));
    TRY(dec_u64(&part[2], FILE_MAX_BYTES, &f->size, "size of a file", e));
    TRY(dec_u64(&part[3], 0500, &mode, "mode of a file", e));
    if (!file_name_ok(f->name, strlen(f->name)) || !is_bin(&part[4], FILE_DIGEST) ||
        (mode != 0400 && mode != 0500))
        return err_set(e, ERR_PROTO, "file: no name, mode and digest");
    f->mode = (uint32_t)mode;
    memcpy(f->digest.b, part[4].via.bin.ptr, FILE_DIGEST);
    return ERR_OK;
}

err_t dec_files(const obj *o, struct file_set *s, struct err *e)
{
    TRY(dec_array(o, 0, FILE_SET_MAX, "files", e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof *s->v, "files", e));
    s->v = p;
    while (s->n < o->via.array.size) {
        const obj *file = &o->via.array.ptr[s->n];
        TRY(dec_file(file, &s->v[s->n++], e));
    }
    return ERR_OK;
}

static err_t check_steps(const struct spec *s, struct err *e)
{
    for (size_t i = 0; i < s->n_steps; i++) {
        bool strange = false;
        for (size_t k = 0; k < s->steps[i].n_files; k++)
            strange |= s->steps[i].files[k].file >= s->files.n;
        for (size_t k = 0; k < s->steps[i].n_places; k++)
            strange |= s->steps[i].places[k].file >= s->files.n;
        if (strange)
            return err_set(e, ERR_PROTO, "transform: its file is none of the job's");
    }
    return ERR_OK;
}

// A table's file is there, and long enough; those of programs are there.
err_t dec_check_files(const struct spec *s, struct err *e)
{
    TRY(check_steps(s, e));
    for (size_t i = 0; i < s->n_tables; i++) {
        const struct spec_table *t = &s->tables[i];
        if (t->csv) continue;
        const struct job_file *f = t->file < s->files.n ? &s->files.v[t->file] : NULL;
        if (!f || t->file_at > f->size || t->csv_bytes > f->size - t->file_at)
            return err_set(e, ERR_PROTO, "table %.200s: not in a file of the job", t->name);
    }
    return ERR_OK;
}

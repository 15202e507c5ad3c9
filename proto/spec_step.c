// A step: [kind, ...], what follows depends on the kind.

#include "proto/spec_codec.h"

// EXEC_PLACED_PARTS: with the places of its files; a program without has EXEC_PARTS.
// SQL_TYPED_PARTS: with the types that a plugin behind it is promised.
// SQL_GATHERS_PARTS: with them, or with none, and that it sums up rows.
enum {
    SQL_PARTS = 2,
    SQL_TYPED_PARTS = 3,
    SQL_GATHERS_PARTS = 4,
    EXEC_PARTS = 10,
    EXEC_PLACED_PARTS = 11,
    PLUGIN_PARTS = 4,
    HTTP_PARTS = 16,
    FORECAST_PARTS = 8
};

static err_t enc_texts(struct enc *x, const struct strings *s, size_t max, const char *what)
{
    TRY(enc_array(x, s->n, max, what));
    for (size_t i = 0; i < s->n; i++)
        TRY(enc_text(x, s->v[i], what));
    return ERR_OK;
}

static err_t enc_pairs(struct enc *x, const struct job_pairs *p, const char *what)
{
    TRY(enc_array(x, p->n, SPEC_PAIRS_MAX, what));
    for (size_t i = 0; i < p->n; i++) {
        PACK(msgpack_pack_array(&x->pk, 2));
        TRY(enc_text(x, p->v[i].name, what));
        TRY(enc_text(x, p->v[i].value, what));
    }
    return ERR_OK;
}

static err_t enc_step_files(struct enc *x, const struct step *s)
{
    TRY(enc_array(x, s->n_files, SPEC_ARGV_MAX, "files of a transform"));
    for (size_t i = 0; i < s->n_files; i++) {
        PACK(msgpack_pack_array(&x->pk, 2));
        PACK(msgpack_pack_uint32(&x->pk, s->files[i].argument));
        PACK(msgpack_pack_uint32(&x->pk, s->files[i].file));
    }
    return ERR_OK;
}

static err_t enc_places(struct enc *x, const struct step *s)
{
    TRY(enc_array(x, s->n_places, SPEC_PLACES_MAX, "files beside a program"));
    for (size_t i = 0; i < s->n_places; i++) {
        const char *path = s->places[i].path;
        PACK(msgpack_pack_array(&x->pk, 2));
        PACK(msgpack_pack_uint32(&x->pk, s->places[i].file));
        TRY(enc_bin(x, path, strlen(path), FILE_PATH_MAX, "place of a file"));
    }
    return ERR_OK;
}

static err_t enc_exec(struct enc *x, const struct step *s)
{
    TRY(enc_texts(x, &s->argv, SPEC_ARGV_MAX, "arguments of a program"));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)s->format));
    PACK(msgpack_pack_uint8(&x->pk, s->persistent));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)s->sandbox));
    TRY(enc_pairs(x, &s->env, "variables of a program"));
    TRY(enc_text(x, s->dir, "folder of a program"));
    TRY(enc_step_files(x, s));
    TRY(enc_schema(x, &s->out));
    TRY(enc_text(x, s->said, "sandbox of a program"));
    return s->n_places ? enc_places(x, s) : ERR_OK;
}

static err_t enc_plugin(struct enc *x, const struct step *s)
{
    TRY(enc_text(x, s->path, "path of a plugin"));
    TRY(enc_pairs(x, &s->args, "arguments of a plugin"));
    return enc_step_files(x, s);
}

static err_t enc_http(struct enc *x, const struct step_http *h)
{
    TRY(enc_text(x, h->url, "address of a request"));
    TRY(enc_pairs(x, &h->headers, "headers of a request"));
    TRY(enc_text(x, h->rows, "path of rows"));
    TRY(enc_pairs(x, &h->fields, "members of rows"));
    TRY(enc_texts(x, &h->keep, SPEC_PAIRS_MAX, "columns to keep"));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)(h->keep_given | h->fields_given << 1)));
    TRY(enc_text(x, h->next, "path of the next page"));
    PACK(msgpack_pack_uint32(&x->pk, h->pages));
    PACK(msgpack_pack_uint32(&x->pk, h->redirects));
    PACK(msgpack_pack_uint32(&x->pk, h->retries));
    PACK(msgpack_pack_uint32(&x->pk, h->concurrency));
    PACK(msgpack_pack_uint64(&x->pk, (uint64_t)h->gap_ns));
    PACK(msgpack_pack_uint64(&x->pk, (uint64_t)h->timeout_ms));
    PACK(msgpack_pack_uint64(&x->pk, (uint64_t)h->connect_ms));
    PACK(msgpack_pack_uint64(&x->pk, h->body_bytes));
    return ERR_OK;
}

static err_t enc_forecast(struct enc *x, const struct step_forecast *f)
{
    TRY(enc_texts(x, &f->by, SPEC_PAIRS_MAX, "columns of a series"));
    TRY(enc_text(x, f->ds, "column of dates"));
    TRY(enc_text(x, f->y, "column of values"));
    PACK(msgpack_pack_uint32(&x->pk, f->periods));
    PACK(msgpack_pack_uint32(&x->pk, f->permille));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)f->every));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)f->holidays));
    return ERR_OK;
}

err_t enc_step(struct enc *x, const struct step *s)
{
    static const uint8_t parts[] = {
        [STEP_SQL] = SQL_PARTS,           [STEP_EXEC] = EXEC_PARTS,
        [STEP_PLUGIN] = PLUGIN_PARTS,     [STEP_HTTP] = HTTP_PARTS,
        [STEP_FORECAST] = FORECAST_PARTS,
    };
    if (s->kind == STEP_NONE || (size_t)s->kind >= sizeof parts)
        return err_set(x->w.e, ERR_INVALID, "a transform of kind %u", s->kind);
    size_t more = 0;
    if (s->kind == STEP_EXEC) more = s->n_places > 0;
    if (s->kind == STEP_SQL) more = s->gathers ? 2 : s->out.n > 0;
    PACK(msgpack_pack_array(&x->pk, parts[s->kind] + more));
    PACK(msgpack_pack_uint8(&x->pk, (uint8_t)s->kind));
    switch (s->kind) {
    case STEP_EXEC: return enc_exec(x, s);
    case STEP_PLUGIN: return enc_plugin(x, s);
    case STEP_HTTP: return enc_http(x, &s->http);
    case STEP_FORECAST: return enc_forecast(x, &s->forecast);
    default: TRY(enc_text(x, s->sql, "a transform"));
    }
    if (s->out.n || s->gathers) TRY(enc_schema(x, &s->out));
    if (s->gathers) PACK(msgpack_pack_uint8(&x->pk, 1));
    return ERR_OK;
}

static err_t dec_pairs(const obj *o, struct job_pairs *p, const char *what, struct err *e)
{
    TRY(dec_array(o, 0, SPEC_PAIRS_MAX, what, e));
    void *v;
    TRY(dec_alloc(&v, o->via.array.size, sizeof *p->v, what, e));
    p->v = v;
    while (p->n < o->via.array.size) {
        const obj *pair = &o->via.array.ptr[p->n];
        struct job_pair *to = &p->v[p->n++];
        TRY(dec_array(pair, 2, 2, what, e));
        TRY(dec_text(&pair->via.array.ptr[0], &to->name, what, e));
        TRY(dec_text(&pair->via.array.ptr[1], &to->value, what, e));
    }
    return ERR_OK;
}

static err_t dec_step_files(const obj *o, struct step *s, struct err *e)
{
    TRY(dec_array(o, 0, SPEC_ARGV_MAX, "files of a program", e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof *s->files, "files of a program", e));
    s->files = p;
    for (; s->n_files < o->via.array.size; s->n_files++) {
        const obj *pair = &o->via.array.ptr[s->n_files];
        uint64_t argument = 0, file = 0;
        TRY(dec_array(pair, 2, 2, "file of a program", e));
        TRY(dec_u64(&pair->via.array.ptr[0], s->argv.n ? s->argv.n - 1 : 0, &argument,
                    "argument", e));
        TRY(dec_u64(&pair->via.array.ptr[1], FILE_SET_MAX - 1, &file, "file", e));
        s->files[s->n_files] = (struct step_file){ (uint32_t)argument, (uint32_t)file };
    }
    return ERR_OK;
}

static err_t dec_place(const obj *o, struct step *s, struct err *e)
{
    uint64_t file = 0;
    char *path = NULL;
    TRY(dec_array(o, 2, 2, "place of a file", e));
    TRY(dec_u64(&o->via.array.ptr[0], FILE_SET_MAX - 1, &file, "file", e));
    TRY(dec_name(&o->via.array.ptr[1], FILE_PATH_MAX, &path, "place of a file", e));
    err_t rc = step_place_ok(path)
                   ? step_add_place(s, (uint32_t)file, path, e)
                   : err_set(e, ERR_PROTO, "place of a file: not below its folder");
    free(path);
    return rc;
}

static err_t dec_places(const obj *o, struct step *s, struct err *e)
{
    TRY(dec_array(o, 1, SPEC_PLACES_MAX, "files beside a program", e));
    for (uint32_t i = 0; i < o->via.array.size; i++)
        TRY(dec_place(&o->via.array.ptr[i], s, e));
    return ERR_OK;
}

static err_t dec_exec(const obj *part, uint32_t n, struct step *s, struct err *e)
{
    uint64_t format = 0, persistent = 0, sandbox = 0;
    TRY(dec_texts(&part[0], &s->argv.v, &s->argv.n, SPEC_ARGV_MAX, "program", e));
    if (s->argv.n == 0) return err_set(e, ERR_PROTO, "program: an empty list");
    TRY(dec_u64(&part[1], STEP_JSONL, &format, "format", e));
    TRY(dec_u64(&part[2], 1, &persistent, "persistent", e));
    TRY(dec_u64(&part[3], STEP_UNBOXED, &sandbox, "sandbox", e));
    s->format = (enum step_format)format;
    s->persistent = persistent;
    s->sandbox = (enum step_sandbox)sandbox;
    TRY(dec_pairs(&part[4], &s->env, "env", e));
    TRY(dec_text(&part[5], &s->dir, "folder of a program", e));
    TRY(dec_step_files(&part[6], s, e));
    TRY(dec_schema(&part[7], &s->out, e));
    TRY(dec_text(&part[8], &s->said, "sandbox of a program", e));
    return n == EXEC_PLACED_PARTS ? dec_places(&part[9], s, e) : ERR_OK;
}

static err_t dec_plugin(const obj *part, struct step *s, struct err *e)
{
    TRY(dec_text(&part[0], &s->path, "plugin", e));
    TRY(dec_pairs(&part[1], &s->args, "args", e));
    return dec_step_files(&part[2], s, e);
}

static err_t dec_u32(const obj *o, uint32_t *out, const char *what, struct err *e)
{
    uint64_t n = 0;
    TRY(dec_u64(o, UINT32_MAX, &n, what, e));
    *out = (uint32_t)n;
    return ERR_OK;
}

static err_t dec_i64(const obj *o, int64_t *out, const char *what, struct err *e)
{
    uint64_t n = 0;
    TRY(dec_u64(o, INT64_MAX, &n, what, e));
    *out = (int64_t)n;
    return ERR_OK;
}

static err_t dec_http(const obj *part, struct step_http *h, struct err *e)
{
    uint64_t given = 0;
    TRY(dec_text(&part[0], &h->url, "address of a request", e));
    TRY(dec_pairs(&part[1], &h->headers, "headers of a request", e));
    TRY(dec_optional(&part[2], &h->rows, "path of rows", e));
    TRY(dec_pairs(&part[3], &h->fields, "members of rows", e));
    TRY(dec_texts(&part[4], &h->keep.v, &h->keep.n, SPEC_PAIRS_MAX, "columns to keep", e));
    TRY(dec_u64(&part[5], 3, &given, "keep", e));
    h->keep_given = given & 1;
    h->fields_given = given >> 1;
    TRY(dec_optional(&part[6], &h->next, "path of the next page", e));
    TRY(dec_u32(&part[7], &h->pages, "pages", e));
    TRY(dec_u32(&part[8], &h->redirects, "redirects", e));
    TRY(dec_u32(&part[9], &h->retries, "retries", e));
    TRY(dec_u32(&part[10], &h->concurrency, "concurrency", e));
    TRY(dec_i64(&part[11], &h->gap_ns, "rate", e));
    TRY(dec_i64(&part[12], &h->timeout_ms, "timeout", e));
    TRY(dec_i64(&part[13], &h->connect_ms, "connect_timeout", e));
    return dec_u64(&part[14], INT64_MAX, &h->body_bytes, "max_body", e);
}

static err_t dec_forecast(const obj *part, struct step_forecast *f, struct err *e)
{
    uint64_t every = 0, holidays = 0, periods = 0, permille = 0;
    TRY(dec_texts(&part[0], &f->by.v, &f->by.n, SPEC_PAIRS_MAX, "columns of a series", e));
    TRY(dec_text(&part[1], &f->ds, "column of dates", e));
    TRY(dec_text(&part[2], &f->y, "column of values", e));
    TRY(dec_u64(&part[3], STEP_PERIODS_MAX, &periods, "periods", e));
    TRY(dec_u64(&part[4], 999, &permille, "interval", e));
    TRY(dec_u64(&part[5], STEP_MONTH, &every, "every", e));
    TRY(dec_u64(&part[6], STEP_NO_HOLIDAYS, &holidays, "holidays", e));
    if (periods == 0 || permille == 0)
        return err_set(e, ERR_PROTO, "forecast: no periods, or no interval");
    f->periods = (uint32_t)periods;
    f->permille = (uint32_t)permille;
    f->every = (enum step_every)every;
    f->holidays = (enum step_holidays)holidays;
    return ERR_OK;
}

static err_t dec_sql(const obj *part, uint32_t n, struct step *s, struct err *e)
{
    uint64_t gathers = 0;
    TRY(dec_text(&part[0], &s->sql, "a transform", e));
    if (n >= SQL_TYPED_PARTS) TRY(dec_schema(&part[1], &s->out, e));
    if (n < SQL_GATHERS_PARTS) return ERR_OK;
    TRY(dec_u64(&part[2], 1, &gathers, "whether it sums up rows", e));
    s->gathers = gathers;
    return ERR_OK;
}

static err_t dec_step(const obj *o, struct step *s, struct err *e)
{
    uint64_t kind = 0;
    TRY(dec_array(o, 1, HTTP_PARTS, "transform", e));
    const obj *part = o->via.array.ptr;
    uint32_t n = o->via.array.size;
    TRY(dec_u64(&part[0], STEP_FORECAST, &kind, "kind of a transform", e));
    s->kind = (enum step_kind)kind;
    if (s->kind == STEP_SQL && n >= SQL_PARTS && n <= SQL_GATHERS_PARTS)
        return dec_sql(part + 1, n, s, e);
    if (s->kind == STEP_EXEC && (n == EXEC_PARTS || n == EXEC_PLACED_PARTS))
        return dec_exec(part + 1, n, s, e);
    if (s->kind == STEP_PLUGIN && n == PLUGIN_PARTS) return dec_plugin(part + 1, s, e);
    if (s->kind == STEP_HTTP && n == HTTP_PARTS) return dec_http(part + 1, &s->http, e);
    if (s->kind == STEP_FORECAST && n == FORECAST_PARTS)
        return dec_forecast(part + 1, &s->forecast, e);
    return err_set(e, ERR_PROTO, "transform: kind %llu with %u parts",
                   (unsigned long long)kind, n);
}

err_t dec_steps(const obj *o, struct spec *s, struct err *e)
{
    TRY(dec_array(o, 0, SPEC_STEPS_MAX, "transforms", e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof *s->steps, "transforms", e));
    s->steps = p;
    while (s->n_steps < o->via.array.size) {
        const obj *step = &o->via.array.ptr[s->n_steps];
        TRY(dec_step(step, &s->steps[s->n_steps++], e));
    }
    return ERR_OK;
}

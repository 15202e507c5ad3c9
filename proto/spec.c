#include "proto/spec.h"

#include "proto/spec_codec.h"

#include <strings.h>

enum {
    SPEC_VERSION = 2,          // the byte before the array
    SPEC_DEPTH = 5,            // spec > tables > table > schema > field
    SPEC_VALUES_MAX = 1 << 20, // 100 tables of 2000 columns, and room; 24 MB unpacked
    SPEC_FIELDS = 12,          // and one more when there is an aggregate
};

static bool is_type(uint64_t number)
{
    switch (number) {
#define X(name, num, text, decl, aff) \
    case num: return true;
        TYPES(X)
#undef X
    default: return false;
    }
}

static err_t check_dialect(const struct csv_dialect *d, struct err *e)
{
    bool bad_quote = d->quote == '\r' || d->quote == '\n';
    if (!bad_quote && d->delimiter && d->delimiter != d->quote && d->delimiter != '\r' &&
        d->delimiter != '\n')
        return ERR_OK;
    return err_set(e, ERR_INVALID, "no CSV dialect has the delimiter %u and the quote %u",
                   d->delimiter, d->quote);
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static err_t check_unique(const struct schema *s, struct err *e)
{
    if (s->n < 2) return ERR_OK;
    char **name = malloc(s->n * sizeof *name);
    if (!name) return err_set(e, ERR_NOMEM, "out of memory: a schema");
    for (uint32_t i = 0; i < s->n; i++)
        name[i] = s->f[i].name;
    qsort(name, s->n, sizeof *name, by_name);
    err_t rc = ERR_OK;
    for (uint32_t i = 1; i < s->n && rc == ERR_OK; i++)
        if (strcasecmp(name[i - 1], name[i]) == 0)
            rc = err_set(e, ERR_INVALID, "two columns are called '%.200s'", name[i]);
    free(name);
    return rc;
}

// Encoding.

static void enc_start(struct enc *x, struct buf *out, struct err *e)
{
    static const uint8_t version = SPEC_VERSION;
    out->n = 0;
    x->w = (struct wire_writer){ .to = out, .e = e };
    msgpack_packer_init(&x->pk, &x->w, wire_write);
    wire_write(&x->w, (const char *)&version, 1);
}

static err_t enc_dialect(struct enc *x, const struct csv_dialect *d)
{
    TRY(check_dialect(d, x->w.e));
    PACK(msgpack_pack_array(&x->pk, 3));
    PACK(msgpack_pack_uint8(&x->pk, d->delimiter));
    PACK(msgpack_pack_uint8(&x->pk, d->quote));
    if (!d->nulls) {
        PACK(msgpack_pack_nil(&x->pk));
        return ERR_OK;
    }
    TRY(enc_array(x, d->n_nulls, SPEC_NULLS_MAX, "null strings"));
    for (size_t i = 0; i < d->n_nulls; i++)
        TRY(enc_text(x, d->nulls[i], "null string"));
    return ERR_OK;
}

err_t enc_schema(struct enc *x, const struct schema *s)
{
    TRY(check_unique(s, x->w.e));
    TRY(enc_array(x, s->n, SCHEMA_MAX_COLUMNS, "columns"));
    for (uint32_t i = 0; i < s->n; i++) {
        const struct field *f = &s->f[i];
        if (!is_type(f->type) || !f->name[0])
            return err_set(x->w.e, ERR_INVALID,
                           "column %u ('%.200s') has no name or no type", i + 1, f->name);
        PACK(msgpack_pack_array(&x->pk, 3));
        TRY(enc_text(x, f->name, "column name"));
        PACK(msgpack_pack_uint8(&x->pk, (uint8_t)f->type));
        PACK(f->given ? msgpack_pack_true(&x->pk) : msgpack_pack_false(&x->pk));
    }
    return ERR_OK;
}

static err_t enc_cell(struct enc *x, const struct cell *c)
{
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: PACK(msgpack_pack_nil(&x->pk)); return ERR_OK;
    case CELL_INTEGER: PACK(msgpack_pack_int64(&x->pk, c->i)); return ERR_OK;
    case CELL_REAL: PACK(msgpack_pack_double(&x->pk, c->r)); return ERR_OK;
    case CELL_TEXT: return enc_str(x, c->p, c->len, SPEC_VALUE_MAX, "a text");
    case CELL_BLOB: return enc_bin(x, c->p, c->len, SPEC_VALUE_MAX, "a blob");
    }
    return err_set(x->w.e, ERR_INVALID, "a value of kind %u", c->kind);
}

static err_t enc_params(struct enc *x, const struct spec *s)
{
    TRY(enc_array(x, s->n_params, SPEC_PARAMS_MAX, "params"));
    for (size_t i = 0; i < s->n_params; i++) {
        PACK(msgpack_pack_array(&x->pk, 2));
        TRY(enc_text(x, s->params[i].name, "name in params"));
        err_t rc = enc_cell(x, &s->params[i].value);
        if (rc != ERR_OK) return err_wrap(x->w.e, rc, "params: %.200s", s->params[i].name);
    }
    return ERR_OK;
}

static err_t enc_table_bytes(struct enc *x, const struct spec_table *t)
{
    size_t room = x->w.to->n < SPEC_MAX_BYTES ? SPEC_MAX_BYTES - x->w.to->n : 0;
    return enc_bin(x, t->csv, t->csv_bytes, room, "a file");
}

static err_t enc_tables(struct enc *x, const struct spec *s)
{
    TRY(enc_array(x, s->n_tables, SPEC_TABLES_MAX, "tables"));
    for (size_t i = 0; i < s->n_tables; i++) {
        const struct spec_table *t = &s->tables[i];
        PACK(msgpack_pack_array(&x->pk, 3));
        TRY(enc_text(x, t->name, "name in tables"));
        err_t rc = enc_schema(x, &t->schema);
        if (rc == ERR_OK) rc = t->csv ? enc_table_bytes(x, t) : enc_table_file(x, t);
        if (rc != ERR_OK) return err_wrap(x->w.e, rc, "tables: %.200s", t->name);
    }
    return ERR_OK;
}

static err_t enc_input(struct enc *x, const struct spec *s)
{
    PACK(msgpack_pack_array(&x->pk, s->list ? 4 : s->query ? 3 : 2));
    TRY(enc_text(x, s->reader, "name of the reader"));
    TRY(enc_array(x, s->fields.n, SCHEMA_MAX_COLUMNS, "fields"));
    for (size_t i = 0; i < s->fields.n; i++)
        TRY(enc_text(x, s->fields.v[i], "a field"));
    if (s->query || s->list) TRY(enc_text(x, s->query, "query"));
    return s->list ? enc_text(x, s->list, "list") : ERR_OK;
}

static err_t enc_spec(struct enc *x, const struct spec *s)
{
    PACK(msgpack_pack_array(&x->pk, SPEC_FIELDS + agg_given(&s->aggregate)));
    TRY(enc_dialect(x, &s->dialect));
    TRY(enc_schema(x, &s->in));
    TRY(enc_array(x, s->n_steps, SPEC_STEPS_MAX, "transforms"));
    for (size_t i = 0; i < s->n_steps; i++)
        TRY(enc_step(x, &s->steps[i]));
    TRY(enc_params(x, s));
    TRY(enc_tables(x, s));
    TRY(enc_text(x, s->sink, "name of the sink"));
    TRY(enc_schema(x, &s->out));
    if (s->timeout_ms < 0) return err_set(x->w.e, ERR_INVALID, "a negative timeout");
    PACK(msgpack_pack_int64(&x->pk, s->timeout_ms));
    PACK(msgpack_pack_uint64(&x->pk, s->memory_bytes));
    PACK(msgpack_pack_uint64(&x->pk, s->result_max_bytes));
    TRY(enc_files(x, &s->files));
    TRY(enc_input(x, s));
    if (agg_given(&s->aggregate)) TRY(enc_aggregate(x, &s->aggregate));
    if (x->w.to->n > SPEC_MAX_BYTES)
        return err_set(x->w.e, ERR_TOOBIG,
                       "params and tables take %zu bytes together: the limit is %d",
                       x->w.to->n, SPEC_MAX_BYTES);
    return ERR_OK;
}

err_t spec_encode(const struct spec *s, struct buf *out, struct err *e)
{
    struct enc x;
    enc_start(&x, out, e);
    return x.w.rc == ERR_OK ? enc_spec(&x, s) : x.w.rc;
}

err_t spec_encode_schema(const struct schema *s, struct buf *out, struct err *e)
{
    struct enc x;
    enc_start(&x, out, e);
    return x.w.rc == ERR_OK ? enc_schema(&x, s) : x.w.rc;
}

// Decoding.

static err_t dec_dialect(const obj *o, struct csv_dialect *d, struct err *e)
{
    TRY(dec_array(o, 3, 3, "dialect", e));
    const obj *part = o->via.array.ptr;
    uint64_t delimiter = 0, quote = 0;
    TRY(dec_u64(&part[0], UINT8_MAX, &delimiter, "delimiter", e));
    TRY(dec_u64(&part[1], UINT8_MAX, &quote, "quote", e));
    d->delimiter = (uint8_t)delimiter;
    d->quote = (uint8_t)quote;
    if (check_dialect(d, e) != ERR_OK) return err_wrap(e, ERR_PROTO, "dialect");
    if (part[2].type == MSGPACK_OBJECT_NIL) return ERR_OK;
    char **nulls = NULL;
    err_t rc = dec_texts(&part[2], &nulls, &d->n_nulls, SPEC_NULLS_MAX, "null strings", e);
    d->nulls = (const char *const *)nulls;
    return rc;
}

static err_t dec_field(const obj *o, struct schema *s, struct err *e)
{
    TRY(dec_array(o, 3, 3, "column", e));
    const obj *part = o->via.array.ptr;
    const msgpack_object_str *name = &part[0].via.str;
    uint64_t type = 0;
    TRY(dec_u64(&part[1], UINT8_MAX, &type, "type", e));
    if (part[0].type != MSGPACK_OBJECT_STR || name->size == 0 ||
        name->size > SPEC_TEXT_MAX || memchr(name->ptr, 0, name->size))
        return err_set(e, ERR_PROTO, "column %u: not a name", s->n + 1);
    if (!is_type(type) || part[2].type != MSGPACK_OBJECT_BOOLEAN)
        return err_set(e, ERR_PROTO, "column %u: not a type", s->n + 1);
    return schema_add(s, name->ptr, name->size, (enum type)type, part[2].via.boolean, e);
}

err_t dec_schema(const obj *o, struct schema *s, struct err *e)
{
    TRY(dec_array(o, 0, SCHEMA_MAX_COLUMNS, "columns", e));
    for (uint32_t i = 0; i < o->via.array.size; i++)
        TRY(dec_field(&o->via.array.ptr[i], s, e));
    err_t rc = check_unique(s, e);
    return rc == ERR_INVALID ? err_wrap(e, ERR_PROTO, "columns") : rc;
}

static err_t dec_bytes(const void *p, uint32_t n, size_t pad, uint8_t **out,
                       const char *what, struct err *e)
{
    void *copy;
    TRY(dec_alloc(&copy, n + pad, 1, what, e));
    if (n) memcpy(copy, p, n);
    *out = copy;
    return ERR_OK;
}

static err_t dec_cell(const obj *o, struct cell *c, struct err *e)
{
    uint8_t *copy;
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: c->kind = CELL_NULL; return ERR_OK;
    case MSGPACK_OBJECT_FLOAT64:
        c->kind = CELL_REAL;
        c->r = o->via.f64;
        return ERR_OK;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (o->via.u64 > INT64_MAX) break;
        // fall through
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        c->kind = CELL_INTEGER;
        c->i = o->via.i64;
        return ERR_OK;
    case MSGPACK_OBJECT_STR:
    case MSGPACK_OBJECT_BIN:
        if (o->via.bin.size > SPEC_VALUE_MAX) break;
        TRY(dec_bytes(o->via.bin.ptr, o->via.bin.size, 0, &copy, "a value", e));
        c->kind = o->type == MSGPACK_OBJECT_STR ? CELL_TEXT : CELL_BLOB;
        c->len = o->via.bin.size;
        c->p = copy;
        return ERR_OK;
    default: break;
    }
    return err_set(e, ERR_PROTO, "params: not a value");
}

static err_t dec_params(const obj *o, struct spec *s, struct err *e)
{
    TRY(dec_array(o, 0, SPEC_PARAMS_MAX, "params", e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof *s->params, "params", e));
    s->params = p;
    while (s->n_params < o->via.array.size) {
        const obj *pair = &o->via.array.ptr[s->n_params];
        struct spec_param *to = &s->params[s->n_params++];
        TRY(dec_array(pair, 2, 2, "params", e));
        TRY(dec_text(&pair->via.array.ptr[0], &to->name, "name in params", e));
        TRY(dec_cell(&pair->via.array.ptr[1], &to->value, e));
    }
    return ERR_OK;
}

static err_t dec_table(const obj *o, struct spec_table *t, struct err *e)
{
    TRY(dec_array(o, 3, 3, "table", e));
    const obj *part = o->via.array.ptr;
    TRY(dec_text(&part[0], &t->name, "name in tables", e));
    TRY(dec_schema(&part[1], &t->schema, e));
    if (part[2].type == MSGPACK_OBJECT_ARRAY) return dec_table_file(&part[2], t, e);
    if (part[2].type != MSGPACK_OBJECT_BIN) return err_set(e, ERR_PROTO, "table: no file");
    TRY(dec_bytes(part[2].via.bin.ptr, part[2].via.bin.size, CSV_PAD, &t->csv, "table", e));
    t->csv_bytes = part[2].via.bin.size;
    return ERR_OK;
}

static err_t dec_tables(const obj *o, struct spec *s, struct err *e)
{
    TRY(dec_array(o, 0, SPEC_TABLES_MAX, "tables", e));
    void *p;
    TRY(dec_alloc(&p, o->via.array.size, sizeof *s->tables, "tables", e));
    s->tables = p;
    while (s->n_tables < o->via.array.size) {
        const obj *table = &o->via.array.ptr[s->n_tables];
        TRY(dec_table(table, &s->tables[s->n_tables++], e));
    }
    return ERR_OK;
}

static err_t dec_input(const obj *o, struct spec *s, struct err *e)
{
    TRY(dec_array(o, 2, 4, "input", e));
    TRY(dec_text(&o->via.array.ptr[0], &s->reader, "reader", e));
    if (o->via.array.size > 2)
        TRY(dec_optional(&o->via.array.ptr[2], &s->query, "query", e));
    if (o->via.array.size > 3) TRY(dec_text(&o->via.array.ptr[3], &s->list, "list", e));
    return dec_texts(&o->via.array.ptr[1], &s->fields.v, &s->fields.n, SCHEMA_MAX_COLUMNS,
                     "fields", e);
}

static err_t dec_spec(const obj *o, void *out, struct err *e)
{
    struct spec *s = out;
    TRY(dec_array(o, SPEC_FIELDS, SPEC_FIELDS + 1, "spec", e));
    const obj *part = o->via.array.ptr;
    uint64_t timeout_ms = 0;
    TRY(dec_dialect(&part[0], &s->dialect, e));
    TRY(dec_schema(&part[1], &s->in, e));
    TRY(dec_steps(&part[2], s, e));
    TRY(dec_params(&part[3], s, e));
    TRY(dec_tables(&part[4], s, e));
    TRY(dec_text(&part[5], &s->sink, "sink", e));
    TRY(dec_schema(&part[6], &s->out, e));
    TRY(dec_u64(&part[7], SPEC_TIMEOUT_MAX_MS, &timeout_ms, "timeout", e));
    s->timeout_ms = (int64_t)timeout_ms;
    TRY(dec_u64(&part[8], UINT64_MAX, &s->memory_bytes, "memory", e));
    TRY(dec_u64(&part[9], UINT64_MAX, &s->result_max_bytes, "result size", e));
    TRY(dec_files(&part[10], &s->files, e));
    TRY(dec_check_files(s, e));
    TRY(dec_input(&part[11], s, e));
    if (o->via.array.size == SPEC_FIELDS) return ERR_OK;
    return dec_aggregate(&part[SPEC_FIELDS], &s->aggregate, e);
}

static err_t dec_schema_alone(const obj *o, void *out, struct err *e)
{
    return dec_schema(o, out, e);
}

// The bytes are walked before msgpack sees them, and unpacked in one go.
static err_t decode(const uint8_t *p, size_t n,
                    err_t (*dec)(const obj *, void *, struct err *), void *out,
                    struct err *e)
{
    if (n < 2 || n > SPEC_MAX_BYTES)
        return err_set(e, ERR_PROTO, "spec of %zu bytes: it has 2 to %d", n,
                       SPEC_MAX_BYTES);
    if (p[0] != SPEC_VERSION)
        return err_set(e, ERR_PROTO, "spec of version %u: this program reads version %d",
                       p[0], SPEC_VERSION);
    if (wire_check(p + 1, n - 1, SPEC_DEPTH, SPEC_VALUES_MAX, e) != ERR_OK)
        return err_wrap(e, ERR_PROTO, "spec");
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    err_t rc =
        msgpack_unpack_next(&u, (const char *)p + 1, n - 1, NULL) == MSGPACK_UNPACK_SUCCESS
            ? dec(&u.data, out, e)
            : err_set(e, ERR_NOMEM, "out of memory: reading a spec");
    msgpack_unpacked_destroy(&u);
    return rc;
}

err_t spec_decode(struct spec *out, const uint8_t *p, size_t n, struct err *e)
{
    *out = (struct spec){ 0 };
    err_t rc = decode(p, n, dec_spec, out, e);
    if (rc != ERR_OK) spec_free(out);
    return rc;
}

err_t spec_decode_schema(struct schema *out, const uint8_t *p, size_t n, struct err *e)
{
    *out = (struct schema){ 0 };
    err_t rc = decode(p, n, dec_schema_alone, out, e);
    if (rc != ERR_OK) schema_free(out);
    return rc;
}

static void free_texts(char **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(v[i]);
    free(v);
}

void spec_free(struct spec *s)
{
    if (!s) return;
    free(s->reader);
    free(s->query);
    free(s->list);
    free_texts(s->fields.v, s->fields.n);
    free_texts((char **)(uintptr_t)s->dialect.nulls, s->dialect.n_nulls);
    schema_free(&s->in);
    steps_free(&s->steps, &s->n_steps);
    agg_free(&s->aggregate);
    for (size_t i = 0; i < s->n_params; i++) {
        struct spec_param *p = &s->params[i];
        free(p->name);
        if (p->value.kind == CELL_TEXT || p->value.kind == CELL_BLOB)
            free((void *)(uintptr_t)p->value.p);
    }
    free(s->params);
    for (size_t i = 0; i < s->n_tables; i++) {
        free(s->tables[i].name);
        schema_free(&s->tables[i].schema);
        free(s->tables[i].csv);
    }
    free(s->tables);
    file_set_free(&s->files);
    free(s->sink);
    schema_free(&s->out);
    *s = (struct spec){ 0 };
}

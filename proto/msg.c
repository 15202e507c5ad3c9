#include "proto/msg.h"

#include "proto/wire.h"

#include <assert.h>
#include <msgpack.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Offsets of the fixed part. docs/PROTOCOL.md says the same.
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_TYPE = 6,
    AT_FLAGS = 8, // MSG_INLINE, and above it the bytes of a packed payload

    AT_ARRAY_BYTES = 12,
    AT_EPOCH = 16,
    AT_SID = 24,
    AT_PAYLOAD_BYTES = 32,
    AT_PAYLOAD_HASH = 40,
    AT_CHECK = 56,
};

enum kind { U64, STR, PATH, H128 };
static const char *const kind_name[] = { "an unsigned integer", "plain text", "a path",
                                         "16 bytes" };

struct field_def {
    const char *name;
    size_t at; // in struct msg_NAME
    uint32_t max;
    enum kind kind;
};

struct layout {
    const char *name; // NULL: no such message
    const struct field_def *field;
    uint32_t n;
};

#define DEF_U64(f)       { #f, offsetof(self, f), 0, U64 },
#define DEF_STR(f, max)  { #f, offsetof(self, f), max, STR },
#define DEF_PATH(f, max) { #f, offsetof(self, f), max, PATH },
#define DEF_H128(f)      { #f, offsetof(self, f), 0, H128 },
#define MESSAGE(NAME, num, dir, text, FIELDS)                                    \
    static struct layout layout_##NAME(void) {                                   \
        typedef struct msg_##NAME self;                                          \
        static const struct field_def f[] = { FIELDS(DEF_U64, DEF_STR, DEF_PATH, \
                                                     DEF_H128) };                \
        return (struct layout){ #NAME, f, sizeof f / sizeof *f };                \
    }
#include "proto/messages.def"
#undef MESSAGE

static struct layout layout_of(enum msg_type t)
{
    switch (t) {
#define MESSAGE(NAME, num, dir, text, FIELDS) \
    case MSG_##NAME:                          \
        return layout_##NAME();
#include "proto/messages.def"
#undef MESSAGE
    }
    return (struct layout){ 0 };
}

// All members of the union begin at the same place.
static void *field_of(struct msg *m, const struct field_def *f)
{
    return (char *)&m->HELLO + f->at;
}

static const void *const_field_of(const struct msg *m, const struct field_def *f)
{
    return (const char *)&m->HELLO + f->at;
}

const char *msg_type_name(enum msg_type t)
{
    const char *name = layout_of(t).name;
    return name ? name : "?";
}

static void put(uint8_t *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void put_hash(uint8_t *p, struct hash128 h)
{
    put(p, h.lo, 8);
    put(p + 8, h.hi, 8);
}

static struct hash128 get_hash(const uint8_t *p)
{
    return (struct hash128){ .lo = get(p, 8), .hi = get(p + 8, 8) };
}

// Covers the fixed part and the array: a digest of the fixed part in whose check field a
// digest of the array stands.
static uint64_t check_word(const uint8_t *p, size_t n)
{
    uint8_t fixed[MSG_FIXED_BYTES];
    memcpy(fixed, p, sizeof fixed);
    put(fixed + AT_CHECK, hash_bytes(p + MSG_FIXED_BYTES, n - MSG_FIXED_BYTES).lo, 8);
    return hash_bytes(fixed, sizeof fixed).lo;
}

// At most `max` bytes, without the part of a character that the limit cut off.
static uint32_t cut(struct msg_str s, uint32_t max)
{
    if (s.n <= max) return s.n;
    uint32_t n = max;
    while (n > 0 && max - n < 3 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
        n--;
    return ((uint8_t)s.p[n] & 0xc0) == 0x80 ? max : n;
}

// Bytes of the control character at p, 0: it is none. U+0080 to U+009F are two bytes long.
static size_t control(const uint8_t *p, size_t left)
{
    if (p[0] < 0x20 || p[0] == 0x7f) return 1;
    return p[0] == 0xc2 && left > 1 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

// Text may have lines and tabs. Anything else that could move a cursor has no place in it.
static bool allowed(const uint8_t *p, size_t left)
{
    return p[0] == '\t' || p[0] == '\n' || control(p, left) == 0;
}

static bool clean(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!allowed(p + i, n - i)) return false;
    return wire_utf8(p, n) == n;
}

static void mend(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!allowed(p + i, n - i)) memset(p + i, '?', control(p + i, n - i));
    for (size_t at = wire_utf8(p, n); at < n; at += wire_utf8(p + at, n - at))
        p[at++] = '?';
}

static int pack_str(msgpack_packer *pk, struct msg_str s, uint32_t max)
{
    const struct wire_writer *w = pk->data;
    uint32_t n = cut(s, max);
    if (msgpack_pack_str(pk, n) || msgpack_pack_str_body(pk, s.p, n)) return -1;
    uint8_t *copy = w->to->p + w->to->n - n;
    if (!clean(copy, n)) mend(copy, n);
    return 0;
}

static int pack_path(msgpack_packer *pk, struct msg_str s, const struct field_def *f)
{
    struct wire_writer *w = pk->data;
    if (s.n > f->max || (s.n && memchr(s.p, 0, s.n))) {
        w->rc =
            err_set(w->e, ERR_INVALID, "%s of %u bytes: it may have %u, none of them NUL",
                    f->name, s.n, f->max);
        return -1;
    }
    return msgpack_pack_bin(pk, s.n) || msgpack_pack_bin_body(pk, s.p, s.n) ? -1 : 0;
}

static int pack_field(msgpack_packer *pk, const struct msg *m, const struct field_def *f)
{
    const void *v = const_field_of(m, f);
    uint8_t bytes[16];
    switch (f->kind) {
    case U64: return msgpack_pack_uint64(pk, *(const uint64_t *)v);
    case STR: return pack_str(pk, *(const struct msg_str *)v, f->max);
    case PATH: return pack_path(pk, *(const struct msg_str *)v, f);
    case H128: break;
    }
    put_hash(bytes, *(const struct hash128 *)v);
    return msgpack_pack_bin(pk, sizeof bytes) ||
           msgpack_pack_bin_body(pk, bytes, sizeof bytes);
}

static void put_fixed(uint8_t *p, size_t n, const struct msg *m, uint32_t flags)
{
    memset(p, 0, MSG_FIXED_BYTES);
    put(p + AT_MAGIC, MSG_MAGIC, 4);
    put(p + AT_VERSION, MSG_VERSION, 2);
    put(p + AT_TYPE, m->type, 2);
    put(p + AT_FLAGS, flags | (uint64_t)m->unpacked << 1, 4);
    put(p + AT_ARRAY_BYTES, n - MSG_FIXED_BYTES, 4);
    put(p + AT_EPOCH, m->epoch, 8);
    put(p + AT_SID, m->sid, 8);
    put(p + AT_PAYLOAD_BYTES, m->payload_bytes, 8);
    if (m->payload_bytes) put_hash(p + AT_PAYLOAD_HASH, m->payload_hash);
    put(p + AT_CHECK, check_word(p, n), 8);
}

static err_t encode(const struct msg *m, uint32_t flags, struct buf *out, struct err *e)
{
    struct layout l = layout_of(m->type);
    size_t from = out->n;
    assert(l.name);
    TRY(buf_reserve(out, MSG_FIXED_BYTES, e));
    out->n += MSG_FIXED_BYTES;
    struct wire_writer w = { .to = out, .e = e };
    msgpack_packer pk;
    msgpack_packer_init(&pk, &w, wire_write);
    int rc = msgpack_pack_array(&pk, l.n);
    for (uint32_t i = 0; i < l.n && rc == 0; i++)
        rc = pack_field(&pk, m, &l.field[i]);
    if (rc != 0) {
        out->n = from;
        return w.rc;
    }
    assert(out->n - from <= MSG_HEADER_MAX);
    put_fixed(out->p + from, out->n - from, m, flags);
    return ERR_OK;
}

err_t msg_encode(const struct msg *m, struct buf *out, struct err *e)
{
    out->n = 0;
    return encode(m, 0, out, e);
}

err_t msg_append(const struct msg *m, const void *payload, struct buf *out, struct err *e)
{
    size_t from = out->n;
    TRY(encode(m, MSG_INLINE, out, e));
    if (!m->payload_bytes) return ERR_OK;
    err_t rc = buf_add(out, payload, (size_t)m->payload_bytes, e);
    if (rc != ERR_OK) out->n = from;
    return rc;
}

// *head: bytes of the fixed part and the array.
static err_t check_fixed(const uint8_t *p, size_t n, size_t *head, struct err *e)
{
    if (n < MSG_FIXED_BYTES || n > MSG_HEADER_MAX)
        return err_set(e, ERR_PROTO, "header frame of %zu bytes: it has %d to %d", n,
                       MSG_FIXED_BYTES, MSG_HEADER_MAX);
    if (get(p + AT_MAGIC, 4) != MSG_MAGIC)
        return err_set(e, ERR_PROTO, "not a message of this protocol: it begins with %08x",
                       (unsigned)get(p + AT_MAGIC, 4));
    if (get(p + AT_VERSION, 2) != MSG_VERSION)
        return err_set(
            e, ERR_PROTO,
            "the peer speaks protocol version %u, this program version %d: use the "
            "same release of tranche and tranche-worker",
            (unsigned)get(p + AT_VERSION, 2), MSG_VERSION);
    uint64_t array = get(p + AT_ARRAY_BYTES, 4), flags = get(p + AT_FLAGS, 4);
    bool fits =
        flags & MSG_INLINE ? array <= n - MSG_FIXED_BYTES : array == n - MSG_FIXED_BYTES;
    if (!fits)
        return err_set(e, ERR_PROTO, "header frame of %zu bytes says it has %llu", n,
                       (unsigned long long)array + MSG_FIXED_BYTES);
    *head = MSG_FIXED_BYTES + (size_t)array;
    if (get(p + AT_CHECK, 8) != check_word(p, *head))
        return err_set(e, ERR_PROTO, "header was damaged on the way: wrong check word");
    if (flags & MSG_INLINE && get(p + AT_PAYLOAD_BYTES, 8) > n - *head)
        return err_set(e, ERR_PROTO, "header frame of %zu bytes has no room for %llu more",
                       n, (unsigned long long)get(p + AT_PAYLOAD_BYTES, 8));
    return ERR_OK;
}

// msgpack gives an empty string no pointer.
static struct msg_str string_of(const char *p, uint32_t n)
{
    return msg_str(n ? p : "", n);
}

static bool take_field(struct msg *m, const struct field_def *f, const msgpack_object *o)
{
    void *v = field_of(m, f);
    struct msg_str s;
    switch (f->kind) {
    case U64:
        if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return false;
        *(uint64_t *)v = o->via.u64;
        return true;
    case STR:
        if (o->type != MSGPACK_OBJECT_STR) return false;
        s = string_of(o->via.str.ptr, o->via.str.size);
        *(struct msg_str *)v = s;
        return s.n <= f->max && clean((const uint8_t *)s.p, s.n);
    case PATH:
        if (o->type != MSGPACK_OBJECT_BIN) return false;
        s = string_of(o->via.bin.ptr, o->via.bin.size);
        *(struct msg_str *)v = s;
        return s.n <= f->max && !memchr(s.p, 0, s.n);
    case H128:
        if (o->type != MSGPACK_OBJECT_BIN || o->via.bin.size != 16) return false;
        *(struct hash128 *)v = get_hash((const uint8_t *)o->via.bin.ptr);
        return true;
    }
    return false;
}

static err_t take_fields(struct msg *m, const struct layout *l, const msgpack_object *o,
                         struct err *e)
{
    if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != l->n)
        return err_set(e, ERR_PROTO, "%s has no array of %u fields", l->name, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        const struct field_def *f = &l->field[i];
        if (take_field(m, f, &o->via.array.ptr[i])) continue;
        return f->max ? err_set(e, ERR_PROTO, "%s.%s is not %s of at most %u bytes",
                                l->name, f->name, kind_name[f->kind], f->max)
                      : err_set(e, ERR_PROTO, "%s.%s is not %s", l->name, f->name,
                                kind_name[f->kind]);
    }
    return ERR_OK;
}

static err_t take_array(struct msg *m, const struct layout *l, const uint8_t *p, size_t n,
                        struct err *e)
{
    if (wire_check(p, n, 1, l->n + 1, e) != ERR_OK)
        return err_wrap(e, ERR_PROTO, "%s", l->name);
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    err_t rc = msgpack_unpack_next(&u, (const char *)p, n, NULL) == MSGPACK_UNPACK_SUCCESS
                   ? take_fields(m, l, &u.data, e)
                   : err_set(e, ERR_NOMEM, "out of memory: reading %s", l->name);
    msgpack_unpacked_destroy(&u);
    return rc;
}

// Others have no payload, or one that is checked before there is a limit to its size.
static bool may_be_packed(enum msg_type t)
{
    return t == MSG_ASSIGN || t == MSG_RESULT || t == MSG_PIECE;
}

err_t msg_decode_next(const uint8_t *p, size_t n, struct msg *out, struct slice *payload,
                      size_t *used, struct err *e)
{
    size_t head = 0;
    TRY(check_fixed(p, n, &head, e));
    *out = (struct msg){
        .type = (enum msg_type)get(p + AT_TYPE, 2),
        .epoch = get(p + AT_EPOCH, 8),
        .sid = get(p + AT_SID, 8),
        .payload_hash = get_hash(p + AT_PAYLOAD_HASH),
        .payload_bytes = get(p + AT_PAYLOAD_BYTES, 8),
        .unpacked = (uint32_t)get(p + AT_FLAGS, 4) >> 1,
    };
    bool is_inline = get(p + AT_FLAGS, 4) & MSG_INLINE;
    *payload = (struct slice){ p + head, is_inline ? (size_t)out->payload_bytes : 0 };
    *used = head + payload->n;
    struct layout l = layout_of(out->type);
    if (!l.name)
        return err_set(e, ERR_PROTO, "unknown message type %u", (unsigned)out->type);
    if (out->payload_bytes == 0 && (out->payload_hash.lo || out->payload_hash.hi))
        return err_set(e, ERR_PROTO, "%s has a digest but no payload", l.name);
    if (out->unpacked && (!may_be_packed(out->type) || out->payload_bytes == 0 ||
                          out->payload_bytes >= out->unpacked))
        return err_set(e, ERR_PROTO, "%s with a payload of %llu bytes, packed from %u",
                       l.name, (unsigned long long)out->payload_bytes, out->unpacked);
    return take_array(out, &l, p + MSG_FIXED_BYTES, head - MSG_FIXED_BYTES, e);
}

err_t msg_decode(const uint8_t *p, size_t n, struct msg *out, struct err *e)
{
    struct slice payload;
    size_t used;
    TRY(msg_decode_next(p, n, out, &payload, &used, e));
    if (used == n && payload.n == 0) return ERR_OK;
    return err_set(e, ERR_PROTO, "header frame of %zu bytes has more than one message", n);
}

struct line { // text that stops at its end
    char *p;
    size_t n, cap;
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->p + l->n, l->cap - l->n, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    l->n = (size_t)n < l->cap - l->n ? l->n + (size_t)n : l->cap - 1;
}

static void add_text(struct line *l, const char *name, struct msg_str s)
{
    enum { SHOWN = 120 };
    uint32_t n = cut(s, SHOWN);
    size_t from = l->n;
    add(l, " %s '%.*s%s'", name, (int)n, s.p ? s.p : "", n < s.n ? "..." : "");
    for (; from < l->n; from++)
        if ((uint8_t)l->p[from] < 0x20 || l->p[from] == 0x7f) l->p[from] = '?';
}

static void add_field(struct line *l, const struct msg *m, const struct field_def *f)
{
    const void *v = const_field_of(m, f);
    if (f->kind == U64 && *(const uint64_t *)v)
        add(l, " %s %llu", f->name, (unsigned long long)*(const uint64_t *)v);
    if ((f->kind == STR || f->kind == PATH) && ((const struct msg_str *)v)->n)
        add_text(l, f->name, *(const struct msg_str *)v);
}

// LEASE_FIELDS come first or not at all.
static bool is_lease(const struct layout *l)
{
    return l->n > 0 && strcmp(l->field[0].name, "input") == 0;
}

void msg_describe(const struct msg *m, char *out, size_t cap)
{
    struct layout l = layout_of(m->type);
    struct line line = { out, 0, cap };
    if (cap == 0) return;
    add(&line, "%s", msg_type_name(m->type));
    uint32_t i = 0;
    if (is_lease(&l)) {
        const struct msg_CANCEL *lease = &m->CANCEL; // has nothing but a lease
        add(&line, " input %llu bytes %llu-%llu attempt %llu",
            (unsigned long long)lease->input, (unsigned long long)lease->begin,
            (unsigned long long)lease->end, (unsigned long long)lease->attempt);
        i = layout_CANCEL().n;
    }
    for (; i < l.n; i++)
        add_field(&line, m, &l.field[i]);
    if (m->payload_bytes) add(&line, " payload %llu", (unsigned long long)m->payload_bytes);
    if (m->unpacked) add(&line, " packed from %u", m->unpacked);
}

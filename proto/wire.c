#include "proto/wire.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct head {          // what the first bytes of a value say
    size_t size;       // bytes of the value itself, without its elements
    size_t text;       // the last so many bytes are UTF-8
    uint32_t elements; // of an array
    bool array;
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | *p++;
    return v;
}

enum shape { REFUSED, FIXED, BIN, STR, ARRAY };

// What follows a tag from 0xc0 to 0xdf: bytes of the value, or of its length field.
static const struct {
    uint8_t shape, bytes;
} tags[32] = {
    [0xc0 - 0xc0] = { FIXED, 0 }, // nil
    [0xc2 - 0xc0] = { FIXED, 0 }, // false
    [0xc3 - 0xc0] = { FIXED, 0 }, // true
    [0xc4 - 0xc0] = { BIN, 1 },   [0xc5 - 0xc0] = { BIN, 2 },
    [0xc6 - 0xc0] = { BIN, 4 },   [0xcb - 0xc0] = { FIXED, 8 }, // float64
    [0xcc - 0xc0] = { FIXED, 1 }, [0xcd - 0xc0] = { FIXED, 2 }, // unsigned
    [0xce - 0xc0] = { FIXED, 4 }, [0xcf - 0xc0] = { FIXED, 8 },
    [0xd0 - 0xc0] = { FIXED, 1 }, [0xd1 - 0xc0] = { FIXED, 2 }, // signed
    [0xd2 - 0xc0] = { FIXED, 4 }, [0xd3 - 0xc0] = { FIXED, 8 },
    [0xd9 - 0xc0] = { STR, 1 },   [0xda - 0xc0] = { STR, 2 },
    [0xdb - 0xc0] = { STR, 4 },   [0xdc - 0xc0] = { ARRAY, 2 },
    [0xdd - 0xc0] = { ARRAY, 4 },
};

// NULL, or what is wrong. `left` bytes are readable, at least one.
static const char *read_head(const uint8_t *p, size_t left, struct head *h)
{
    uint8_t tag = p[0];
    *h = (struct head){ .size = 1 };
    if (tag < 0x80 || tag >= 0xe0) return NULL; // a small integer
    if (tag < 0x90) return "a map is not allowed here";
    if (tag < 0xa0) {
        h->array = true;
        h->elements = tag & 0x0f;
        return NULL;
    }
    if (tag < 0xc0) {
        h->text = tag & 0x1f;
        h->size += h->text;
        return h->size > left ? "a string ends past the last byte" : NULL;
    }
    size_t bytes = tags[tag - 0xc0].bytes;
    if (left - 1 < bytes) return "a value ends past the last byte";
    uint64_t n = big_endian(p + 1, bytes);
    h->size += bytes;
    switch (tags[tag - 0xc0].shape) {
    case FIXED: return NULL;
    case ARRAY:
        h->array = true;
        h->elements = (uint32_t)n;
        return NULL;
    case STR: h->text = n; break;
    case BIN: break;
    default: return "a kind of value that is not allowed here";
    }
    h->size += n;
    return h->size > left ? "a string ends past the last byte" : NULL;
}

static err_t wrong(size_t at, const char *what, struct err *e)
{
    return err_set(e, ERR_PROTO, "byte %zu of the msgpack value: %s", at, what);
}

err_t wire_check(const uint8_t *p, size_t n, unsigned depth, uint32_t values, struct err *e)
{
    assert(depth <= WIRE_DEPTH_MAX);
    uint64_t todo[WIRE_DEPTH_MAX + 1] = { 1 }; // values still to come, a level each
    unsigned level = 0;
    size_t at = 0;
    for (;;) {
        while (level > 0 && todo[level] == 0)
            level--;
        if (todo[level] == 0) break;
        todo[level]--;
        if (values-- == 0) return wrong(at, "too many values", e);
        if (at == n) return wrong(at, "the bytes end before the value does", e);
        struct head h;
        const char *why = read_head(p + at, n - at, &h);
        if (why) return wrong(at, why, e);
        if (wire_utf8(p + at + h.size - h.text, h.text) != h.text)
            return wrong(at, "a string is not UTF-8", e);
        if (h.array && h.elements > n - at - h.size)
            return wrong(at, "an array has more elements than bytes", e);
        if (h.array && level == depth) return wrong(at, "arrays are nested too deep", e);
        at += h.size;
        if (h.array) todo[++level] = h.elements;
    }
    return at == n ? ERR_OK : wrong(at, "bytes follow the value", e);
}

// Length of the UTF-8 sequence at p, 0 when there is none. Second bytes are limited as in
// RFC 3629 section 4: that is what keeps overlong forms and surrogates out.
static size_t sequence(const uint8_t *p, size_t left)
{
    uint8_t c = p[0], low = 0x80, high = 0xbf;
    size_t n;
    if (c < 0x80) return 1;
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
        if (c == 0xe0) low = 0xa0;
        if (c == 0xed) high = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
        if (c == 0xf0) low = 0x90;
        if (c == 0xf4) high = 0x8f;
    } else {
        return 0;
    }
    if (left < n || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf) return 0;
    return n;
}

size_t wire_utf8(const void *text, size_t n)
{
    const uint8_t *p = text;
    size_t at = 0;
    while (at < n) {
        uint64_t eight;
        while (n - at >= 8 && (memcpy(&eight, p + at, 8), !(eight & 0x8080808080808080)))
            at += 8;
        if (at == n) break;
        size_t step = sequence(p + at, n - at);
        if (step == 0) break;
        at += step;
    }
    return at;
}

int wire_write(void *writer, const char *p, size_t n)
{
    struct wire_writer *w = writer;
    w->rc = buf_add(w->to, p, n, w->e);
    return w->rc == ERR_OK ? 0 : -1;
}

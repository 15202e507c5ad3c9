#include "common/infer.h"

#include <string.h>

enum {
    REAL_DIGITS_SURE = 15, // an integer of so many digits fits real
    NARROWEST_FIRST = 4,
    REFUTED_ALL = 1 << TYPE_INTEGER | 1 << TYPE_REAL | 1 << TYPE_DATE | 1 << TYPE_TIMESTAMP,
};
static const enum type candidates[NARROWEST_FIRST] = { TYPE_INTEGER, TYPE_REAL, TYPE_DATE,
                                                       TYPE_TIMESTAMP };

// Leading zeros and plus signs would be lost.
static bool real_keeps_its_text(const char *p, size_t n)
{
    size_t i = n && p[0] == '-';
    if (i < n && p[i] == '+') return false;
    return !(n - i > 1 && p[i] == '0' && p[i + 1] >= '0' && p[i + 1] <= '9');
}

static bool fits(enum type t, const struct csv_value *v)
{
    if (t == TYPE_REAL && !real_keeps_its_text(v->p, v->n)) return false;
    return csv_value_fits(t, false, v->p, v->n);
}

static bool refuted(const struct infer_column *c, enum type t)
{
    return c->refuted & 1u << t;
}

// An integer that was seen fits real too, unless it is long; nothing else overlaps.
static bool implied(const struct infer_column *c, enum type t, const struct csv_value *v)
{
    return t == TYPE_REAL && !refuted(c, TYPE_INTEGER) && v->n <= REAL_DIGITS_SURE;
}

enum type infer_type(const struct infer_column *c)
{
    if (c->values == 0) return TYPE_TEXT;
    if (c->booleans == c->values) return TYPE_BOOLEAN;
    for (size_t i = 0; i < NARROWEST_FIRST; i++) {
        if (refuted(c, candidates[i])) continue;
        if (candidates[i] == TYPE_REAL && !c->point) continue;
        return candidates[i];
    }
    return TYPE_TEXT;
}

static void remember(struct infer_column *c, enum type was, const struct csv_value *v)
{
    size_t n = v->n < sizeof c->because - 1 ? v->n : sizeof c->because - 1;
    c->was = was;
    for (size_t i = 0; i < n; i++)
        c->because[i] = (unsigned char)v->p[i] < ' ' ? '?' : v->p[i];
    while (n > 0 && n < v->n &&
           ((unsigned char)v->p[n] & 0xc0) == 0x80) // between characters
        n--;
    c->because[n] = 0;
}

void infer_value(struct infer_column *c, const struct csv_value *v)
{
    c->values++;
    if ((c->refuted & REFUTED_ALL) == REFUTED_ALL) return;
    enum type was = infer_type(c);
    for (size_t i = 0; i < NARROWEST_FIRST; i++) {
        enum type t = candidates[i];
        if (refuted(c, t) || implied(c, t, v)) continue;
        if (!fits(t, v)) c->refuted |= (uint8_t)(1u << t);
    }
    if (!refuted(c, TYPE_REAL) && !c->point) c->point = memchr(v->p, '.', v->n) != NULL;
    if (c->values > 1 && !c->was && was != TYPE_TEXT && refuted(c, was))
        remember(c, was, v);
}

static void refute(struct infer_column *c, unsigned types, const struct csv_value *v)
{
    enum type was = infer_type(c);
    c->refuted |= (uint8_t)types;
    if (c->values > 1 && !c->was && was != TYPE_TEXT && was != infer_type(c))
        remember(c, was, v);
}

void infer_json(struct infer_column *c, const struct json_value *v)
{
    struct csv_value text = { (const char *)v->p, v->n, false };
    switch (v->kind) {
    case JSON_NULL: infer_null(c); break;
    case JSON_NUMBER:
        c->point |=
            memchr(v->p, '.', v->n) || memchr(v->p, 'e', v->n) || memchr(v->p, 'E', v->n);
        infer_value(c, &text);
        break;
    case JSON_TEXT:
        infer_value(c, &text);
        refute(c, 1 << TYPE_INTEGER | 1 << TYPE_REAL, &text);
        break;
    case JSON_BOOLEAN:
        c->booleans++;
        // fall through
    case JSON_NESTED: c->values++; refute(c, REFUTED_ALL, &text);
    }
}

void infer_null(struct infer_column *c)
{
    c->nulls++;
}

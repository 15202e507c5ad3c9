#include "common/pg_value.h"
#include "common/civil.h"
#include "common/pg_time.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { // pg_type.dat of PostgreSQL; they never change
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_CHAR = 18,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
};

enum { REAL_DIGITS = 15, INTEGER_DIGITS = 18 };
static const int64_t DAY_US = 86400000000;

static enum pg_kind numeric_kind(int typmod)
{
    if (typmod < 4) return PG_NUMERIC; // neither digits nor fraction are limited
    int digits = (typmod - 4) >> 16 & 0xffff, fraction = ((typmod - 4) & 0x7ff);
    if (fraction) return PG_NUMERIC;
    return digits <= INTEGER_DIGITS ? PG_DECIMAL : PG_DIGITS;
}

enum pg_kind pg_kind_of(uint32_t oid, int typmod)
{
    switch (oid) {
    case OID_BOOL: return PG_BOOLEAN;
    case OID_BYTEA: return PG_BYTES;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: return PG_INTEGER;
    case OID_OID: return PG_OID;
    case OID_FLOAT4: return PG_FLOAT4;
    case OID_FLOAT8: return PG_FLOAT8;
    case OID_DATE: return PG_DATE;
    case OID_TIMESTAMP: return PG_TIMESTAMP;
    case OID_TIMESTAMPTZ: return PG_TIMESTAMPTZ;
    case OID_NUMERIC: return numeric_kind(typmod);
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_CHAR:
    case OID_NAME:
    case OID_JSON: return PG_TEXT;
    default: return PG_OTHER;
    }
}

enum type pg_kind_type(enum pg_kind kind)
{
    switch (kind) {
    case PG_BOOLEAN: return TYPE_BOOLEAN;
    case PG_INTEGER:
    case PG_OID:
    case PG_DECIMAL: return TYPE_INTEGER;
    case PG_FLOAT4:
    case PG_FLOAT8:
    case PG_NUMERIC: return TYPE_REAL;
    case PG_DATE: return TYPE_DATE;
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ: return TYPE_TIMESTAMP;
    case PG_BYTES: return TYPE_ANY;
    case PG_OTHER:
    case PG_DIGITS:
    case PG_TEXT: break;
    }
    return TYPE_TEXT;
}

// ---- numbers in network order ----

static uint64_t big_endian(const uint8_t *p, uint32_t n)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static int64_t integer(const uint8_t *p, uint32_t n)
{
    uint64_t v = big_endian(p, n);
    if (n == 4) return (int32_t)v;
    return n == 2 ? (int16_t)v : (int64_t)v;
}

static void set_text(struct cell *c, const void *p, size_t n)
{
    c->kind = CELL_TEXT;
    c->p = p;
    c->len = (uint32_t)n;
}

static void set_real(struct cell *c, double r)
{
    if (isnan(r)) {
        set_text(c, "NaN", 3);
        return;
    }
    c->kind = CELL_REAL;
    c->r = r;
}

// 0.1 shall stay 0.1, not become 0.10000000149.
static double widen(float f)
{
    char text[32];
    double d = (double)f;
    if (!isfinite(f) || (d == rint(d) && fabs(d) < 0x1p24)) return d;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtof(text, NULL) == f) return strtod(text, NULL);
    }
    return d;
}

static float float4(const uint8_t *p)
{
    uint32_t bits = (uint32_t)big_endian(p, 4);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double float8(const uint8_t *p)
{
    uint64_t bits = big_endian(p, 8);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

// ---- dates ----

static err_t say(struct buf *b, struct cell *c, struct err *e, const char *text)
{
    b->n = 0;
    TRY(buf_add(b, text, strlen(text), e));
    set_text(c, b->p, b->n);
    return ERR_OK;
}

enum { MOMENT_SIZE = 64 };

static void two_digits(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
}

// YYYY-MM-DD; returns the end. *before: the year is before Christ.
static char *put_date(char *to, int64_t days, bool *before)
{
    struct civil c = civil_of(days + PG_DAYS_TO_2000);
    int year = c.year;
    *before = year <= 0;
    if (*before) year = 1 - year;
    if (year <= 9999) {
        two_digits(to, (unsigned)year / 100);
        two_digits(to + 2, (unsigned)year % 100);
        to += 4;
    } else {
        to += snprintf(to, 24, "%d", year);
    }
    *to++ = '-';
    two_digits(to, (unsigned)c.month);
    to[2] = '-';
    two_digits(to + 3, (unsigned)c.day);
    return to + 5;
}

static char *put_time(char *to, int64_t us)
{
    unsigned s = (unsigned)(us / 1000000), fraction = (unsigned)(us % 1000000);
    *to++ = ' ';
    two_digits(to, s / 3600);
    to[2] = ':';
    two_digits(to + 3, s / 60 % 60);
    to[5] = ':';
    two_digits(to + 6, s % 60);
    to += 8;
    if (!fraction) return to;
    to += snprintf(to, 16, ".%06u", fraction);
    while (to[-1] == '0')
        to--;
    return to;
}

static err_t put_moment(struct buf *b, struct cell *c, int64_t days, int64_t us,
                        bool with_time, bool zone, struct err *e)
{
    bool before;
    b->n = 0;
    TRY(buf_reserve(b, MOMENT_SIZE, e));
    char *to = put_date((char *)b->p, days, &before);
    if (with_time) to = put_time(to, us);
    if (zone) to = stpcpy(to, "+00");
    if (before) to = stpcpy(to, " BC");
    b->n = (size_t)(to - (char *)b->p);
    set_text(c, b->p, b->n);
    return ERR_OK;
}

static err_t put_day(struct buf *b, struct cell *c, const uint8_t *p, struct err *e)
{
    int64_t days = integer(p, 4);
    if (days == INT32_MAX) return say(b, c, e, "infinity");
    if (days == INT32_MIN) return say(b, c, e, "-infinity");
    return put_moment(b, c, days, 0, false, false, e);
}

static err_t put_timestamp(struct buf *b, struct cell *c, const uint8_t *p, bool zone,
                           struct err *e)
{
    int64_t us = integer(p, 8);
    if (us == INT64_MAX) return say(b, c, e, "infinity");
    if (us == INT64_MIN) return say(b, c, e, "-infinity");
    int64_t days = us / DAY_US, of_day = us % DAY_US;
    if (of_day < 0) {
        days--;
        of_day += DAY_US;
    }
    return put_moment(b, c, days, of_day, true, zone, e);
}

// ---- numeric: groups of four decimal digits (numeric_send) ----

struct numeric {
    int32_t groups, weight; // of the first group: it counts 10000^weight
    unsigned sign, scale;   // digits after the point that are shown
    const uint8_t *p;       // of the groups
};

enum {
    POSITIVE = 0,
    NEGATIVE = 0x4000,
    NAN_SIGN = 0xc000,
    PLUS_INF = 0xd000,
    MINUS_INF = 0xf000
};
enum { NUMERIC_DIGITS_MOST = 200000 };

static err_t not_a_value(struct err *e)
{
    return err_set(e, ERR_PROTO, "the server sent a value that its type does not have");
}

static unsigned group_at(const struct numeric *x, int32_t i)
{
    return i < 0 || i >= x->groups ? 0 : (unsigned)big_endian(x->p + 2 * (size_t)i, 2);
}

static bool numeric_read(const uint8_t *p, uint32_t n, struct numeric *x)
{
    if (n < 8) return false;
    *x = (struct numeric){ .groups = (int32_t)big_endian(p, 2),
                           .weight = (int32_t)integer(p + 2, 2),
                           .sign = (unsigned)big_endian(p + 4, 2),
                           .scale = (unsigned)big_endian(p + 6, 2),
                           .p = p + 8 };
    if (n - 8 != 2 * (uint32_t)x->groups || x->scale > 0x3fff) return false;
    for (int32_t i = 0; i < x->groups; i++)
        if (group_at(x, i) > 9999) return false;
    return true;
}

static err_t numeric_text(const struct numeric *x, struct buf *b, struct err *e)
{
    size_t whole = x->weight < 0 ? 1 : 4 * ((size_t)x->weight + 1);
    b->n = 0;
    TRY(buf_reserve(b, whole + x->scale + 16, e));
    char *to = (char *)b->p;
    if (x->sign == NEGATIVE) *to++ = '-';
    if (x->weight < 0) *to++ = '0';
    for (int32_t i = 0; i <= x->weight; i++)
        to += sprintf(to, i ? "%04u" : "%u", group_at(x, i));
    if (x->scale) {
        *to++ = '.';
        char *end = to + x->scale;
        for (int32_t i = x->weight + 1; to < end; i++)
            to += sprintf(to, "%04u", group_at(x, i));
        to = end; // the last group may have had more digits than are shown
    }
    b->n = (size_t)(to - (char *)b->p);
    return ERR_OK;
}

// value = mantissa * 10000^exponent, if so few digits hold it.
static bool numeric_short(const struct numeric *x, uint64_t most, uint64_t *mantissa,
                          int *exponent)
{
    uint64_t m = 0;
    int32_t n = x->groups;
    while (n && group_at(x, n - 1) == 0)
        n--;
    for (int32_t i = 0; i < n; i++) {
        if (m > most / 10000) return false;
        m = m * 10000 + group_at(x, i);
    }
    *mantissa = m;
    *exponent = x->weight - n + 1;
    return true;
}

static uint64_t without_zeros(uint64_t m, int *zeros)
{
    for (*zeros = 0; m && m % 10 == 0; ++*zeros)
        m /= 10;
    return m;
}

// The nearest double of at most 15 digits: one rounding where powers of ten are exact.
static bool numeric_real(const struct numeric *x, struct buf *b, double *out, struct err *e,
                         err_t *rc)
{
    static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    uint64_t m;
    int e4, zeros;
    if (!numeric_short(x, UINT64_MAX - 9999, &m, &e4)) return false;
    m = without_zeros(m, &zeros);
    if (m >= 1000000000000000ull) return false;
    int exponent = 4 * e4 + zeros;
    if (exponent >= -22 && exponent <= 22) {
        double d =
            exponent < 0 ? (double)m / powers[-exponent] : (double)m * powers[exponent];
        *out = x->sign == NEGATIVE ? -d : d;
        return true;
    }
    *rc = numeric_text(x, b, e);
    if (*rc == ERR_OK) *rc = buf_add(b, "", 1, e);
    if (*rc != ERR_OK) return true;
    *out = strtod((char *)b->p, NULL);
    return isfinite(*out) && (*out != 0 || m == 0);
}

static bool numeric_integer(const struct numeric *x, int64_t *out)
{
    uint64_t m;
    int e4;
    if (!numeric_short(x, INT64_MAX - 9999, &m, &e4) || e4 < 0 || e4 > 4) return false;
    for (; e4; e4--) {
        if (m > INT64_MAX / 10000) return false;
        m *= 10000;
    }
    *out = x->sign == NEGATIVE ? -(int64_t)m : (int64_t)m;
    return true;
}

static err_t put_numeric(enum pg_kind kind, const uint8_t *p, uint32_t n, struct buf *b,
                         struct cell *c, struct err *e)
{
    struct numeric x;
    err_t rc = ERR_OK;
    double d;
    if (!numeric_read(p, n, &x)) return not_a_value(e);
    if (x.sign == NAN_SIGN) return say(b, c, e, "NaN");
    if (x.sign == PLUS_INF || x.sign == MINUS_INF) {
        bool minus = x.sign == MINUS_INF;
        if (kind != PG_NUMERIC) return say(b, c, e, minus ? "-Infinity" : "Infinity");
        set_real(c, minus ? -INFINITY : INFINITY);
        return ERR_OK;
    }
    if (x.sign != POSITIVE && x.sign != NEGATIVE) return not_a_value(e);
    if (kind == PG_DECIMAL && numeric_integer(&x, &c->i)) {
        c->kind = CELL_INTEGER;
        return ERR_OK;
    }
    if (kind == PG_NUMERIC && numeric_real(&x, b, &d, e, &rc)) {
        if (rc == ERR_OK) set_real(c, d);
        return rc;
    }
    TRY(numeric_text(&x, b, e));
    set_text(c, b->p, b->n);
    return ERR_OK;
}

// ---- any value ----

static bool size_is_good(enum pg_kind kind, uint32_t n)
{
    switch (kind) {
    case PG_BOOLEAN: return n == 1;
    case PG_INTEGER: return n == 2 || n == 4 || n == 8;
    case PG_OID:
    case PG_FLOAT4:
    case PG_DATE: return n == 4;
    case PG_FLOAT8:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ: return n == 8;
    case PG_NUMERIC:
    case PG_DECIMAL:
    case PG_DIGITS: return n <= 8 + NUMERIC_DIGITS_MOST;
    case PG_OTHER:
    case PG_TEXT:
    case PG_BYTES: break;
    }
    return n <= INT32_MAX;
}

err_t pg_value_cell(enum pg_kind kind, const uint8_t *p, uint32_t n, struct buf *scratch,
                    struct cell *out, struct err *e)
{
    *out = (struct cell){ .kind = CELL_NULL };
    if (!size_is_good(kind, n)) return not_a_value(e);
    switch (kind) {
    case PG_BOOLEAN:
        out->kind = CELL_INTEGER;
        out->i = *p != 0;
        return ERR_OK;
    case PG_INTEGER:
        out->kind = CELL_INTEGER;
        out->i = integer(p, n);
        return ERR_OK;
    case PG_OID:
        out->kind = CELL_INTEGER;
        out->i = (int64_t)big_endian(p, n);
        return ERR_OK;
    case PG_FLOAT4: set_real(out, widen(float4(p))); return ERR_OK;
    case PG_FLOAT8: set_real(out, float8(p)); return ERR_OK;
    case PG_NUMERIC:
    case PG_DECIMAL:
    case PG_DIGITS: return put_numeric(kind, p, n, scratch, out, e);
    case PG_DATE: return put_day(scratch, out, p, e);
    case PG_TIMESTAMP: return put_timestamp(scratch, out, p, false, e);
    case PG_TIMESTAMPTZ: return put_timestamp(scratch, out, p, true, e);
    case PG_OTHER:
    case PG_TEXT: set_text(out, p, n); return ERR_OK;
    case PG_BYTES: break;
    }
    set_text(out, p, n);
    out->kind = CELL_BLOB;
    return ERR_OK;
}

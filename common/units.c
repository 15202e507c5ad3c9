#include "common/units.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {
    // largest first
    { "TiB", (uint64_t)1 << 40 },
    { "GiB", (uint64_t)1 << 30 },
    { "MiB", (uint64_t)1 << 20 },
    { "KiB", (uint64_t)1 << 10 },
    { "B", 1 },
    { "", 1 },
    { NULL, 0 },
};

static const struct unit durations[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
    { "s", 1000 },     { "ms", 1 },      { NULL, 0 },
};

enum { FRACTION_DIGITS = 9 };

struct number {
    uint64_t whole;
    uint64_t fraction; // of `scale`
    uint64_t scale;    // power of ten; 1: no fraction was written
};

// Reads digits[.digits]; NULL when there is no number or it is too large.
static const char *number(const char *p, struct number *out)
{
    *out = (struct number){ 0, 0, 1 };
    const char *start = p;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(out->whole, 10u, &out->whole) ||
            __builtin_add_overflow(out->whole, (uint64_t)(*p - '0'), &out->whole))
            return NULL;
    if (p == start) return NULL;
    if (*p != '.') return p;
    start = ++p;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (p - start >= FRACTION_DIGITS) return NULL;
        out->fraction = out->fraction * 10 + (uint64_t)(*p - '0');
        out->scale *= 10;
    }
    return p == start ? NULL : p;
}

static bool times(struct number n, uint64_t factor, uint64_t *out)
{
    unsigned __int128 v = (unsigned __int128)n.whole * factor +
                          (unsigned __int128)n.fraction * factor / n.scale;
    *out = (uint64_t)v;
    return v <= INT64_MAX;
}

static bool measure(const char *text, const struct unit *units, uint64_t *out)
{
    struct number n;
    const char *name = number(text, &n);
    if (!name || (!*name && n.scale > 1)) return false;
    for (; units->name; units++)
        if (strcmp(name, units->name) == 0) return times(n, units->factor, out);
    return false;
}

// What was meant by 64MB, 64m, 5min: the number with the unit that begins like it.
static const char *meant(const char *text, const char *const pairs[][2],
                         const char *example)
{
    static _Thread_local char said[64];
    struct number n;
    const char *name = number(text, &n);
    if (name && name - text < 24)
        for (; (*pairs)[0]; pairs++)
            if (strcasecmp(name, (*pairs)[0]) == 0 && strcmp(name, (*pairs)[1]) != 0) {
                snprintf(said, sizeof said, "write %.*s%s", (int)(name - text), text,
                         (*pairs)[1]);
                return said;
            }
    return example;
}

const char *units_count(const char *text, uint64_t *out)
{
    struct number n;
    const char *rest = number(text, &n);
    if (!rest || *rest || n.scale > 1 || n.whole > INT64_MAX) return "e.g. 100";
    *out = n.whole;
    return NULL;
}

const char *units_size(const char *text, uint64_t *bytes)
{
    static const char *const near[][2] = {
        { "k", "KiB" },   { "kb", "KiB" },  { "kib", "KiB" }, { "m", "MiB" },
        { "mb", "MiB" },  { "mib", "MiB" }, { "g", "GiB" },   { "gb", "GiB" },
        { "gib", "GiB" }, { "t", "TiB" },   { "tb", "TiB" },  { "tib", "TiB" },
        { NULL, NULL },
    };
    if (measure(text, sizes, bytes)) return NULL;
    return meant(text, near, "e.g. 64KiB, 4MiB or 2GiB");
}

const char *units_duration(const char *text, int64_t *ms)
{
    static const char *const near[][2] = {
        { "", "s" },        { "sec", "s" },  { "secs", "s" },  { "second", "s" },
        { "seconds", "s" }, { "min", "m" },  { "mins", "m" },  { "minute", "m" },
        { "minutes", "m" }, { "hour", "h" }, { "hours", "h" }, { "hr", "h" },
        { "day", "d" },     { "days", "d" }, { "msec", "ms" }, { NULL, NULL },
    };
    uint64_t v;
    if (measure(text, durations, &v)) {
        *ms = (int64_t)v;
        return NULL;
    }
    return meant(text, near, "e.g. 90s, 5m or 1h");
}

const char *units_share(const char *text, double *share)
{
    struct number n;
    const char *rest = number(text, &n);
    if (!rest || strcmp(rest, "%") != 0 || n.whole > 100 || (n.whole == 100 && n.fraction))
        return "e.g. 1% or 0.5%";
    *share = ((double)n.whole + (double)n.fraction / (double)n.scale) / 100;
    return NULL;
}

static const char *exact(uint64_t v, const struct unit *units, char out[UNITS_TEXT])
{
    while (units[1].name && units[1].name[0] && (v == 0 || v % units->factor != 0))
        units++;
    snprintf(out, UNITS_TEXT, "%llu%s", (unsigned long long)(v / units->factor),
             strcmp(units->name, "B") == 0 ? "" : units->name);
    return out;
}

const char *units_size_text(uint64_t bytes, char out[UNITS_TEXT])
{
    return exact(bytes, sizes, out);
}

const char *units_duration_text(int64_t ms, char out[UNITS_TEXT])
{
    return exact(ms < 0 ? 0 : (uint64_t)ms, durations, out);
}

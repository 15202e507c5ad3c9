#include "worker/http_link.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define SPACE " \t\r\n"

struct text {
    const char *p, *end;
};

static void skip(struct text *t, const char *these)
{
    while (t->p < t->end && *t->p && strchr(these, *t->p))
        t->p++;
}

static bool take(struct text *t, char c)
{
    bool there = t->p < t->end && *t->p == c;
    t->p += there;
    return there;
}

// Up to one of these bytes, or the end.
static struct text take_until(struct text *t, const char *these)
{
    struct text word = { t->p, t->p };
    while (t->p < t->end && !(*t->p && strchr(these, *t->p)))
        t->p++;
    word.end = t->p;
    return word;
}

// A backslash keeps the byte behind it.
static struct text take_quoted(struct text *t)
{
    struct text word = { t->p, t->p };
    while (t->p < t->end && *t->p != '"')
        t->p += *t->p == '\\' && t->end - t->p > 1 ? 2 : 1;
    word.end = t->p;
    take(t, '"');
    return word;
}

static bool is_word(struct text w, const char *word)
{
    size_t n = (size_t)(w.end - w.p);
    return n == strlen(word) && strncasecmp(w.p, word, n) == 0;
}

static bool names_next(struct text value)
{
    while (value.p < value.end) {
        skip(&value, SPACE);
        if (is_word(take_until(&value, SPACE), "next")) return true;
    }
    return false;
}

// ; name = value, any number of them. The first rel counts.
static bool params_say_next(struct text *t)
{
    bool next = false, seen = false;
    for (skip(t, SPACE); take(t, ';'); skip(t, SPACE)) {
        skip(t, SPACE);
        struct text name = take_until(t, SPACE "=;,"), value = { 0 };
        skip(t, SPACE);
        if (take(t, '=')) {
            skip(t, SPACE);
            value = take(t, '"') ? take_quoted(t) : take_until(t, SPACE ";,");
        }
        if (!is_word(name, "rel")) continue;
        next = seen ? next : names_next(value);
        seen = true;
    }
    return next;
}

struct slice http_link_next(const char *p, size_t n)
{
    struct text t = { p, p + n };
    for (;;) {
        skip(&t, SPACE ",");
        if (!take(&t, '<')) return (struct slice){ 0 };
        struct text target = take_until(&t, ">");
        if (!take(&t, '>')) return (struct slice){ 0 };
        if (params_say_next(&t))
            return (struct slice){ (const uint8_t *)target.p,
                                   (size_t)(target.end - target.p) };
    }
}

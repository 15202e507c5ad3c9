#include "common/extent.h"

#include <stdlib.h>
#include <string.h>

static int order(enum type type, const char *a, const char *b)
{
    if (type != TYPE_INTEGER && type != TYPE_REAL) return strcmp(a, b); // ISO 8601
    double x = strtod(a, NULL), y = strtod(b, NULL);
    return (x > y) - (x < y);
}

void extent_value(struct extent *x, enum type type, const char *p, size_t n)
{
    char text[EXTENT_SHOWN];
    bool ordered = type != TYPE_TEXT && type != TYPE_BOOLEAN && type != TYPE_ANY;
    bool widened = x->type == TYPE_INTEGER && type == TYPE_REAL;
    if (n > x->longest) x->longest = n;
    if (x->type != type && !widened) x->least[0] = x->most[0] = 0;
    x->type = type;
    if (!ordered || n == 0 || n >= sizeof text) return;
    memcpy(text, p, n);
    text[n] = 0;
    if (!x->least[0] || order(type, text, x->least) < 0) memcpy(x->least, text, n + 1);
    if (!x->most[0] || order(type, text, x->most) > 0) memcpy(x->most, text, n + 1);
}

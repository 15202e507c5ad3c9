#include "common/say.h"

#include "common/text.h"

#include <stdlib.h>
#include <string.h>

// A message leaves in one piece, unless it is very long: others write there, too.
struct gathered {
    FILE *to;
    size_t n;
    char room[4096];
};

static void leave(struct gathered *g)
{
    fwrite(g->room, 1, g->n, g->to);
    g->n = 0;
}

static void add(struct gathered *g, const char *p, size_t n) // of a few bytes
{
    if (n > sizeof g->room - g->n) leave(g);
    memcpy(g->room + g->n, p, n);
    g->n += n;
}

static void put(FILE *to, const char *s, size_t left, const char *line_end,
                const char *last)
{
    struct gathered g = { .to = to };
    char hex[8];
    for (size_t k; left; s += k, left -= k) {
        k = text_harmless(s, left);
        if (k || *s == '\t')
            add(&g, s, k ? k : 1);
        else if (*s == '\n')
            add(&g, line_end, strlen(line_end));
        else
            add(&g, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)*s));
        if (k == 0) k = 1;
    }
    add(&g, last, strlen(last));
    leave(&g);
}

void say_to_v(FILE *to, const char *fmt, va_list ap)
{
    char room[4096], *text = room;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(room, sizeof room, fmt, ap);
    if (n >= (int)sizeof room && vasprintf(&text, fmt, again) < 0)
        text = room; // without memory the end is cut
    va_end(again);
    if (n >= 0) put(to, text, strlen(text), "\n", "");
    if (text != room) free(text);
}

void say_to(FILE *to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say_to_v(to, fmt, ap);
    va_end(ap);
}

void say_line(FILE *to, const char *text)
{
    put(to, text, strlen(text), "\n  ", "\n");
}

void say_bytes(FILE *to, const void *p, size_t n)
{
    put(to, p, n, "\n", "");
}

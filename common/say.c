#include "common/say.h"

#include "common/text.h"

#include <stdlib.h>
#include <string.h>

static void put(FILE *to, const char *s, const char *line_end)
{
    for (size_t left = strlen(s), k; left; s += k, left -= k) {
        k = text_harmless(s, left);
        if (k || *s == '\t')
            fwrite(s, 1, k ? k : 1, to);
        else if (*s == '\n')
            fputs(line_end, to);
        else
            fprintf(to, "\\x%02x", (unsigned char)*s);
        if (k == 0) k = 1;
    }
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
    if (n >= 0) put(to, text, "\n");
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
    put(to, text, "\n  ");
    fputc('\n', to);
}

#include "common/reason.h"

#include "common/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define NAME   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."

size_t reason_place(const char *s)
{
    size_t file = strcspn(s, ":'\n");
    size_t line = s[file] == ':' ? strspn(s + file + 1, DIGITS) : 0;
    const char *type = s + file + 1 + line;
    if (!file || !line || strncmp(type, ": ", 2) != 0) return 0;
    size_t name = strspn(type + 2, NAME);
    bool ends = type[2 + name] == ':' || type[2 + name] == 0;
    return name && ends ? (size_t)(type + 2 + name - s) : 0;
}

// What stands behind a program's name is its own text; its quotes may hold anything.
static bool is_of_program(const char *s)
{
    const char *name = *s == '\'' ? strchr(s + 1, '\'') : NULL;
    return name && (strncmp(name, "': ", 3) == 0 || strstr(name, "; its last words:"));
}

static void on_one_line(const char *s, size_t n, char *out, size_t cap)
{
    size_t k = utf8_cut((const uint8_t *)s, n, cap - 1);
    memcpy(out, s, k);
    out[k] = 0;
    for (char *c = out; *c; c++)
        if (*c == '\n') *c = ' ';
}

// 'x' is not an integer, and 'y' is not: the same reason. So is "byte 88 is not UTF-8".
static void without_values(const char *s, char *out, size_t cap)
{
    size_t n = 0;
    while (*s && n + 8 < cap) {
        const char *end = *s == '\'' ? strrchr(s + 1, '\'') : NULL;
        if (end) {
            memcpy(out + n, "'...'", 5);
            n += 5;
            s = end + 1;
        } else if (n >= 5 && memcmp(out + n - 5, "byte ", 5) == 0 && *s >= '0' &&
                   *s <= '9') {
            memcpy(out + n, "...", 3);
            n += 3;
            s += strspn(s, DIGITS);
        } else {
            out[n++] = *s++;
        }
    }
    out[n] = 0;
}

void reason_kind(const char *s, char *out, size_t cap)
{
    size_t place = reason_place(s);
    if (place || is_of_program(s))
        on_one_line(s, place ? place : strlen(s), out, cap);
    else
        without_values(s, out, cap);
}

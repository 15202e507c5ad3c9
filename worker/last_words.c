#include "worker/last_words.h"

#include "common/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct piece {
    const char *p;
    size_t n;
};

// ---- Python tracebacks ----

struct traceback {
    struct piece file, line; // of the frame that is shown
    bool own;                // it is none of a library
    bool frames;             // the line before belongs to a frame
    const char *exception;   // NULL: none came yet
};

static bool begins(struct piece s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && memcmp(s.p, with, n) == 0;
}

static bool has(struct piece s, const char *part)
{
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static bool is_library(struct piece path)
{
    return has(path, "/lib/python") || has(path, "/lib64/python") ||
           has(path, "/site-packages/") || has(path, "/dist-packages/") ||
           begins(path, "<frozen ");
}

static struct piece base_name(struct piece path)
{
    const char *slash = memrchr(path.p, '/', path.n);
    if (!slash) return path;
    return (struct piece){ slash + 1, path.n - (size_t)(slash + 1 - path.p) };
}

// '  File "/home/x/clean.py", line 6, in f'
static void on_frame(struct traceback *t, struct piece line)
{
    static const char head[] = "  File \"", number[] = "\", line ";
    const char *path = line.p + strlen(head);
    const char *end = memmem(path, line.n - strlen(head), number, strlen(number));
    if (!end) return;
    struct piece file = { path, (size_t)(end - path) };
    const char *digits = end + strlen(number);
    size_t n = 0;
    while (digits + n < line.p + line.n && digits[n] >= '0' && digits[n] <= '9')
        n++;
    bool own = !is_library(file);
    t->frames = true;
    t->exception = NULL;
    if (t->own && !own) return;
    t->own = own;
    t->file = base_name(file);
    t->line = (struct piece){ digits, n };
}

static void on_line(struct traceback *t, struct piece line)
{
    if (begins(line, "Traceback (most recent call last)"))
        *t = (struct traceback){ .frames = true };
    else if (begins(line, "  File \""))
        on_frame(t, line);
    else if (t->frames && line.n && line.p[0] != ' ') {
        t->exception = line.p;
        t->frames = false;
    }
}

static struct piece next_line(const char *p, const char *end)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    return (struct piece){ p, (size_t)((lf ? lf : end) - p) };
}

static bool find_traceback(const char *p, const char *end, struct traceback *t)
{
    *t = (struct traceback){ 0 };
    while (p < end) {
        struct piece line = next_line(p, end);
        on_line(t, line);
        p = line.p + line.n + 1;
    }
    return t->exception && t->file.n && t->line.n;
}

// False: it is none, or so much stands behind it that it cannot be what was said last.
static bool say_traceback(const char *p, size_t n, char out[LAST_WORDS])
{
    struct traceback t;
    if (!find_traceback(p, p + n, &t)) return false;
    int file = t.file.n < 100 ? (int)t.file.n : 100, line = (int)t.line.n;
    int most = LAST_WORDS - file - line - 4;
    if (p + n - t.exception > 4 * LAST_WORDS || line > 9) return false;
    int why = p + n - t.exception < most ? (int)(p + n - t.exception) : most;
    snprintf(out, LAST_WORDS, "%.*s:%.*s: %.*s", file, t.file.p, line, t.line.p, why,
             t.exception);
    for (char *c = out; *c; c++)
        if (*c == '\n') *c = ' ';
    return true;
}

// ---- any text ----

// A cut may have parted a character.
static void drop_part(char *s)
{
    size_t n = strlen(s), k = n;
    while (k && n - k < 3 && ((uint8_t)s[k - 1] & 0xc0) == 0x80)
        k--;
    if (k && (uint8_t)s[k - 1] >= 0xc0 && !text_is_utf8(s + k - 1, n - k + 1)) s[k - 1] = 0;
}

static void clean(char *s)
{
    for (char *c = s; *c; c++)
        if (*c != '\n' && *c != '\t' && (uint8_t)*c < ' ') *c = '?';
    drop_part(s);
    if (text_is_utf8(s, strlen(s))) return;
    for (char *c = s; *c; c++)
        if ((uint8_t)*c >= 0x80) *c = '?';
}

static void last_lines(const char *p, size_t n, char out[LAST_WORDS])
{
    size_t from = n > LAST_WORDS - 1 ? n - (LAST_WORDS - 1) : 0;
    const char *lf = from ? memchr(p + from, '\n', n - from) : NULL;
    if (lf) from = (size_t)(lf + 1 - p);
    for (size_t i = from; i < n; i++)
        *out++ = p[i] ? p[i] : '?';
    *out = 0;
}

const char *last_words(const char *p, size_t n, char out[LAST_WORDS])
{
    while (n && (p[n - 1] == '\n' || p[n - 1] == ' '))
        n--;
    if (!say_traceback(p, n, out)) last_lines(p, n, out);
    clean(out);
    return out;
}

// ---- imports ----

static bool ends(struct piece s, const char *with)
{
    size_t n = strlen(with);
    return s.n >= n && memcmp(s.p + s.n - n, with, n) == 0;
}

bool last_words_lack_module(const char *p, size_t n)
{
    bool loading = false; // all frames so far are those of modules
    struct piece last = { p, 0 };
    for (const char *end = p + n; p < end;) {
        struct piece line = next_line(p, end);
        p = line.p + line.n + 1;
        if (begins(line, "Traceback (most recent call last):"))
            loading = true;
        else if (begins(line, "  File \"") && !begins(line, "  File \"<frozen "))
            loading &= ends(line, ", in <module>");
        if (line.n) last = line;
    }
    return loading &&
           (begins(last, "ModuleNotFoundError: ") || begins(last, "ImportError: "));
}

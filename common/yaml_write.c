#include "common/yaml_write.h"

#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void add(struct yaml *y, const void *p, size_t n)
{
    if (y->rc == ERR_OK && n) y->rc = buf_add(&y->out, p, n, y->e);
}

static void add_text(struct yaml *y, const char *text)
{
    add(y, text, strlen(text));
}

static void indent(struct yaml *y)
{
    int n = y->depth - (y->item ? 1 : 0);
    for (int i = 0; i < n; i++)
        add_text(y, "  ");
    if (y->item) add_text(y, "- ");
    y->item = false;
}

// ---- texts ----

// No number of YAML is one here, and `null` and `~` are nothing.
static bool is_plain(const char *s)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/"
                                "0123456789.";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/"
                               "0123456789.-+()=%@$^";
    static const char *const taken[] = { "null", "Null", "NULL", "true", "false", "yes",
                                         "no",   "on",   "off",  ".",    "..." };
    if (!*s || !strchr(first, *s)) return false;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(s, taken[i]) == 0) return false;
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!strchr(rest, s[i]) && !(s[i] == ':' && s[i + 1] && s[i + 1] != ' ') &&
            !(s[i] == ' ' && s[i + 1] && s[i + 1] != '#' && s[i + 1] != ' '))
            return false;
    return true;
}

// Characters that YAML does not take as they are, or a person could not see.
static size_t odd(const unsigned char *p, uint32_t *code)
{
    if (*p < 0x20 || *p == 0x7f) {
        *code = *p;
        return 1;
    }
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa1) {
        *code = p[1];
        return 2;
    }
    bool three = (p[0] & 0xf0) == 0xe0;
    uint32_t c = three ? (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u) : 0;
    bool hidden = c == 0xfeff || c >= 0xfff0 || (c >= 0x2000 && c <= 0x200f) ||
                  (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f);
    *code = c;
    return three && hidden ? 3 : 0;
}

static void quoted(struct yaml *y, const char *text)
{
    add_text(y, "\"");
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        char escaped[16];
        uint32_t code;
        size_t n = odd(p, &code);
        if (n) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)code);
            add_text(y, *p == '\n' ? "\\n" : *p == '\t' ? "\\t" : escaped);
        } else {
            if (*p == '"' || *p == '\\') add_text(y, "\\");
            add(y, p, 1);
        }
        p += n ? n : 1;
    }
    add_text(y, "\"");
}

// Several lines that a block shows as they are.
static bool is_block(const char *s)
{
    size_t n = strlen(s);
    uint32_t code;
    if (!strchr(s, '\n') || strchr(" \t\n", s[0]) || strchr(" \t\n", s[n - 1]))
        return false;
    for (const char *p = s; *p; p++)
        if (*p != '\n' && odd((const unsigned char *)p, &code)) return false;
    return true;
}

static void block(struct yaml *y, const char *text)
{
    add_text(y, "|-");
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t n = strcspn(line, "\n");
        add_text(y, "\n");
        for (int i = 0; n && i <= y->depth; i++)
            add_text(y, "  ");
        add(y, line, n);
    }
}

static void scalar(struct yaml *y, const char *text)
{
    if (is_plain(text))
        add_text(y, text);
    else
        quoted(y, text);
}

static void key_of(struct yaml *y, const char *key)
{
    indent(y);
    scalar(y, key);
    add_text(y, ":");
}

// ---- lines ----

void yaml_begin(struct yaml *y, const char *key)
{
    key_of(y, key);
    add_text(y, "\n");
    y->depth++;
}

void yaml_end(struct yaml *y)
{
    y->depth--;
    y->item = false;
}

void yaml_item(struct yaml *y)
{
    y->depth++;
    y->item = true;
}

void yaml_text(struct yaml *y, const char *key, const char *text)
{
    key_of(y, key);
    add_text(y, " ");
    if (is_block(text))
        block(y, text);
    else
        scalar(y, text);
    add_text(y, "\n");
}

void yaml_number(struct yaml *y, const char *key, uint64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, n);
    yaml_text(y, key, text);
}

static void in_brackets(struct yaml *y, const char *text)
{
    if (is_plain(text) && !strpbrk(text, ":"))
        add_text(y, text);
    else
        quoted(y, text);
}

static void brackets(struct yaml *y, const struct strings *s)
{
    add_text(y, "[");
    for (size_t i = 0; i < s->n; i++) {
        if (i) add_text(y, ", ");
        in_brackets(y, s->v[i]);
    }
    add_text(y, "]\n");
}

void yaml_strings(struct yaml *y, const char *key, const struct strings *s)
{
    key_of(y, key);
    add_text(y, " ");
    brackets(y, s);
}

void yaml_item_strings(struct yaml *y, const struct strings *s)
{
    yaml_item(y);
    indent(y);
    brackets(y, s);
    yaml_end(y);
}

void yaml_pairs(struct yaml *y, const char *key, const struct job_pairs *p)
{
    if (p->n == 0) {
        key_of(y, key);
        add_text(y, " {}\n");
        return;
    }
    yaml_begin(y, key);
    for (size_t i = 0; i < p->n; i++)
        yaml_text(y, p->v[i].name, p->v[i].value);
    yaml_end(y);
}

void yaml_comment(struct yaml *y, const char *text)
{
    for (int i = 0; i < y->depth - (y->item ? 1 : 0); i++)
        add_text(y, "  ");
    add_text(y, *text ? "# " : "#");
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        uint32_t code;
        size_t n = odd(p, &code);
        if (n)
            add_text(y, "?");
        else
            add(y, p, 1);
        p += n ? n : 1;
    }
    add_text(y, "\n");
}

// The values at a path: members are found by json_line, elements of a list by their commas.

#include "common/json_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_pick {
    struct json_path path;
    struct json_line *whole, *text;          // checks the text; reads a text among elements
    struct json_line *step[JSON_PATH_STEPS]; // of members
    struct json_line *fields;                // NULL: none
    struct buf wrapped;                      // {"v": element}
    const char *what;
    // Of the text being read:
    json_pick_fn *row;
    void *arg;
    char *why;
    bool good, nothing;
};

static err_t one_field(struct json_line **out, const char *name, struct err *e)
{
    char *v[] = { (char *)(uintptr_t)name };
    return json_line_new(out, &(struct strings){ v, 1 }, e);
}

static err_t open_all(struct json_pick *p, const char *path, const struct strings *fields,
                      struct err *e)
{
    TRY(json_path_parse(&p->path, path, e));
    TRY(json_line_new(&p->whole, &(struct strings){ 0 }, e));
    TRY(one_field(&p->text, "v", e));
    for (size_t i = 0; i < p->path.n; i++)
        if (p->path.step[i].member) TRY(one_field(&p->step[i], p->path.step[i].member, e));
    return fields->n ? json_line_new(&p->fields, fields, e) : ERR_OK;
}

err_t json_pick_new(struct json_pick **out, const char *path, const struct strings *fields,
                    const char *what, struct err *e)
{
    struct json_pick *p = *out = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory");
    p->what = what;
    err_t rc = open_all(p, path, fields, e);
    if (rc != ERR_OK) json_pick_free(out);
    return rc;
}

void json_pick_free(struct json_pick **pp)
{
    struct json_pick *p = *pp;
    *pp = NULL;
    if (!p) return;
    json_line_free(&p->whole);
    json_line_free(&p->text);
    for (size_t i = 0; i < JSON_PATH_STEPS; i++)
        json_line_free(&p->step[i]);
    json_line_free(&p->fields);
    json_path_free(&p->path);
    buf_free(&p->wrapped);
    free(p);
}

// ---- elements ----

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct slice trimmed(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_space(*p))
        p++;
    while (end > p && is_space(end[-1]))
        end--;
    return (struct slice){ p, (size_t)(end - p) };
}

// Past the value at p, which ends at a comma or bracket that is not inside of it. The text
// is JSON; should it not be, `end` is the end.
static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
    size_t depth = 0;
    for (; p < end; p++) {
        if (*p == '"') {
            for (p++; p < end && *p != '"'; p++)
                p += *p == '\\' && end - p > 1;
            if (p == end) break;
        } else if (*p == '[' || *p == '{') {
            depth++;
        } else if (depth == 0 && (*p == ',' || *p == ']' || *p == '}')) {
            break;
        } else if (*p == ']' || *p == '}') {
            depth--;
        }
    }
    return p;
}

static err_t unescape(struct json_pick *p, struct slice s, struct json_value *v,
                      struct err *e)
{
    const struct json_value *values;
    bool good;
    p->wrapped.n = 0;
    TRY(buf_add(&p->wrapped, "{\"v\":", 5, e));
    TRY(buf_add(&p->wrapped, s.p, s.n, e));
    TRY(buf_add(&p->wrapped, "}", 1, e));
    TRY(json_line_read(p->text, p->wrapped.p, p->wrapped.n, &values, &good, p->why, e));
    if (good) *v = values[0];
    p->good = good;
    return ERR_OK;
}

// A whole value as it is written.
static err_t value_of(struct json_pick *p, struct slice s, struct json_value *v,
                      struct err *e)
{
    *v = (struct json_value){ .p = s.p, .n = s.n };
    switch (s.n ? *s.p : 'n') {
    case '"': return unescape(p, s, v, e);
    case '{':
    case '[': v->kind = JSON_NESTED; break;
    case 't':
    case 'f': v->kind = JSON_BOOLEAN; break;
    case 'n': *v = (struct json_value){ JSON_NULL, NULL, 0 }; break;
    default: v->kind = JSON_NUMBER;
    }
    return ERR_OK;
}

// ---- the walk ----

static void path_text(const struct json_pick *p, size_t steps, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "$");
    for (size_t i = 0; i < steps && n < size; i++) {
        const char *member = p->path.step[i].member;
        n += (size_t)snprintf(out + n, size - n, member ? ".%.60s" : "[*]", member);
    }
}

static err_t refuse(struct json_pick *p, size_t steps, const char *wanted,
                    const struct json_value *v)
{
    static const char *const kinds[] = { "nothing", "a number", "a text", "a boolean" };
    char path[120];
    const char *got = v->kind != JSON_NESTED ? kinds[v->kind]
                      : *v->p == '{'         ? "an object"
                                             : "a list";
    path_text(p, steps, path, sizeof path);
    snprintf(p->why, JSON_LINE_WHY, "at %s %s has %s, not %s", path, p->what, got, wanted);
    p->good = false;
    p->nothing = v->kind == JSON_NULL;
    return ERR_OK;
}

static bool is_nested(const struct json_value *v, char bracket)
{
    return v->kind == JSON_NESTED && *v->p == (uint8_t)bracket;
}

static err_t give(struct json_pick *p, const struct json_value *v, struct err *e)
{
    const struct json_value *values = v;
    if (p->fields) {
        if (!is_nested(v, '{')) return refuse(p, p->path.n, "an object", v);
        json_line_reset(p->fields);
        TRY(json_line_read(p->fields, v->p, v->n, &values, &p->good, p->why, e));
    }
    return p->good ? p->row(p->arg, values, e) : ERR_OK;
}

static err_t walk(struct json_pick *p, size_t step, struct json_value v, struct err *e);

static err_t walk_elements(struct json_pick *p, size_t step, const struct json_value *list,
                           struct err *e)
{
    const uint8_t *at = list->p + 1, *end = list->p + list->n - 1;
    if (trimmed(at, end).n == 0) return ERR_OK;
    while (at <= end) {
        const uint8_t *stop = skip_value(at, end);
        struct json_value v;
        TRY(value_of(p, trimmed(at, stop), &v, e));
        if (p->good) TRY(walk(p, step + 1, v, e));
        if (!p->good) return ERR_OK;
        at = stop + 1;
    }
    return ERR_OK;
}

static err_t walk(struct json_pick *p, size_t step, struct json_value v, struct err *e)
{
    if (step == p->path.n) return give(p, &v, e);
    bool member = p->path.step[step].member;
    if (!is_nested(&v, member ? '{' : '['))
        return refuse(p, step, member ? "an object" : "a list", &v);
    if (!member) return walk_elements(p, step, &v, e);
    const struct json_value *values;
    json_line_reset(p->step[step]);
    TRY(json_line_read(p->step[step], v.p, v.n, &values, &p->good, p->why, e));
    return p->good ? walk(p, step + 1, values[0], e) : ERR_OK;
}

err_t json_pick_read(struct json_pick *p, const uint8_t *text, size_t n, json_pick_fn *row,
                     void *arg, bool *good, char why[JSON_LINE_WHY], struct err *e)
{
    const struct json_value *none;
    struct json_value root = { 0 };
    p->row = row;
    p->arg = arg;
    p->why = why;
    p->nothing = false;
    json_line_reset(p->text);
    err_t rc = json_line_read(p->whole, text, n, &none, &p->good, why, e);
    if (rc == ERR_OK && p->good) rc = value_of(p, trimmed(text, text + n), &root, e);
    if (rc == ERR_OK && p->good) rc = walk(p, 0, root, e);
    *good = p->good;
    return rc;
}

bool json_pick_found_nothing(const struct json_pick *p)
{
    return p->nothing;
}

#include "common/json_line.h"

#include "common/arena.h"
#include "common/hash.h"
#include "common/utf8.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum { PATH_MAX_BYTES = 4096, NOT_WANTED = UINT32_MAX };

struct list { // whose elements are rows
    char *name;
    size_t name_n;
    uint32_t *inner; // a field's place among those of an element, or NOT_WANTED
    uint32_t n_inner;
    struct json_value *values; // n_inner an element
    size_t n, cap;             // elements
    // Of the line being read:
    bool next;      // the next value stands where the list should
    bool wrong;     // ... but it was none
    uint32_t depth; // of its brackets; 0: it is not open
};

struct level {        // an object or array that is open
    bool array;       // in it, or in an array around it
    uint32_t path;    // bytes of path before its keys
    uint32_t capture; // field whose value it is
    size_t begin;     // offset of its bracket
};

struct slot {
    uint32_t field; // + 1; 0: free
    uint32_t n;     // bytes of its name
};

struct json_line {
    struct strings fields;
    struct slot *slots; // open addressing
    uint32_t mask;
    struct json_value *values;
    struct list list;     // without a name: lines are rows
    struct arena texts;   // decoded, until reset
    struct arena scratch; // yajl's, until the next line
    jmp_buf no_memory;
    // Of the line being read:
    yajl_handle handle;
    const uint8_t *line;
    size_t n;
    struct level level[JSON_LINE_DEPTH + 1];
    uint32_t depth, current; // field whose value comes next
    char path[PATH_MAX_BYTES];
    uint32_t path_n;
    const char *why;
};

// ---- memory for yajl, which does not look whether it got any ----

struct block {
    _Alignas(16) size_t n;
};

static void *more(void *ctx, size_t n)
{
    struct json_line *j = ctx;
    struct block *b =
        n < SIZE_MAX - sizeof *b ? arena_alloc(&j->scratch, n + sizeof *b) : NULL;
    if (!b) longjmp(j->no_memory, 1);
    b->n = n;
    return b + 1;
}

static void *other(void *ctx, void *old, size_t n)
{
    void *p = more(ctx, n);
    if (old) {
        size_t had = ((struct block *)old - 1)->n;
        memcpy(p, old, had < n ? had : n);
    }
    return p;
}

static void less(void *ctx, void *p)
{
    (void)ctx, (void)p; // with the arena
}

// ---- names ----

static uint32_t hash(const char *p, size_t n)
{
    return (uint32_t)hash_seeded(p, n, 0);
}

static uint32_t find(const struct json_line *j, const char *p, size_t n)
{
    const struct slot *s;
    for (uint32_t at = hash(p, n) & j->mask; (s = &j->slots[at])->field;
         at = (at + 1) & j->mask)
        if (s->n == n && memcmp(j->fields.v[s->field - 1], p, n) == 0) return s->field - 1;
    return NOT_WANTED;
}

static err_t index_fields(struct json_line *j, struct err *e)
{
    uint32_t slots = 16;
    while (slots < 2 * j->fields.n)
        slots *= 2;
    j->mask = slots - 1;
    j->slots = calloc(slots, sizeof *j->slots);
    j->values = calloc(j->fields.n + 1, sizeof *j->values);
    if (!j->slots || !j->values) return err_set(e, ERR_NOMEM, "out of memory");
    for (uint32_t f = 0; f < j->fields.n; f++) {
        size_t n = strlen(j->fields.v[f]);
        uint32_t at = hash(j->fields.v[f], n) & j->mask;
        while (j->slots[at].field)
            at = (at + 1) & j->mask;
        j->slots[at] = (struct slot){ f + 1, (uint32_t)n };
    }
    return ERR_OK;
}

err_t json_line_new(struct json_line **out, const struct strings *fields, struct err *e)
{
    struct json_line *j = calloc(1, sizeof *j);
    if (!j) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = ERR_OK;
    for (size_t i = 0; i < fields->n && rc == ERR_OK; i++)
        rc = strings_add(&j->fields, fields->v[i], strlen(fields->v[i]), e);
    if (rc == ERR_OK) rc = index_fields(j, e);
    if (rc == ERR_OK)
        *out = j;
    else
        json_line_free(&j);
    return rc;
}

void json_line_free(struct json_line **jj)
{
    struct json_line *j = *jj;
    if (!j) return;
    strings_free(&j->fields);
    free(j->list.name);
    free(j->list.inner);
    free(j->list.values);
    free(j->slots);
    free(j->values);
    arena_free(&j->texts);
    arena_free(&j->scratch);
    free(j);
    *jj = NULL;
}

void json_line_reset(struct json_line *j)
{
    arena_reset(&j->texts);
}

// ---- the list whose elements are rows ----

static bool is_inner(const struct list *l, const char *field)
{
    return strncmp(field, l->name, l->name_n) == 0 &&
           (!field[l->name_n] || field[l->name_n] == '.');
}

err_t json_line_by_list(struct json_line *j, const char *list, struct err *e)
{
    struct list *l = &j->list;
    assert(!l->name);
    l->name = strdup(list);
    l->name_n = strlen(list);
    l->inner = calloc(j->fields.n + 1, sizeof *l->inner);
    if (!l->name || !l->inner) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t f = 0; f < j->fields.n; f++)
        l->inner[f] = is_inner(l, j->fields.v[f]) ? l->n_inner++ : NOT_WANTED;
    return ERR_OK;
}

static void forget_elements(struct list *l)
{
    l->n = l->depth = 0;
    l->next = l->wrong = false;
}

static int refuse(struct json_line *j, const char *why)
{
    j->why = why;
    return 0;
}

static void room_for_element(struct json_line *j)
{
    struct list *l = &j->list;
    size_t cap = l->cap ? 2 * l->cap : 64;
    struct json_value *v = realloc(l->values, cap * l->n_inner * sizeof *v);
    if (!v) longjmp(j->no_memory, 1);
    l->values = v;
    l->cap = cap;
}

// The value that comes is an element.
static int add_element(struct json_line *j)
{
    struct list *l = &j->list;
    if ((l->n + 1) * (l->n_inner + 1) > JSON_LINE_VALUES)
        return refuse(j, "a list of too many elements");
    if (l->n_inner && l->n == l->cap) room_for_element(j);
    if (l->n_inner)
        memset(l->values + l->n * l->n_inner, 0, l->n_inner * sizeof *l->values);
    l->n++;
    j->path_n = (uint32_t)l->name_n;
    j->current = find(j, l->name, l->name_n);
    return 1;
}

// What stands in the list's place: the last one counts.
static void meet_list(struct json_line *j, bool array, bool nothing)
{
    struct list *l = &j->list;
    l->next = false;
    l->n = 0;
    l->wrong = !array && !nothing;
    l->depth = array ? j->depth + 1 : 0;
    j->current = NOT_WANTED;
}

// A value begins. False: it is refused.
static bool begin_value(struct json_line *j, bool array, bool nothing)
{
    if (j->list.next)
        meet_list(j, array, nothing);
    else if (j->list.depth && j->depth == j->list.depth)
        return add_element(j);
    return true;
}

static struct json_value *value_of(struct json_line *j, uint32_t field)
{
    const struct list *l = &j->list;
    if (!l->depth || l->inner[field] == NOT_WANTED) return &j->values[field];
    return &l->values[(l->n - 1) * l->n_inner + l->inner[field]];
}

size_t json_line_rows(const struct json_line *j)
{
    return j->list.name ? j->list.n : 1;
}

const struct json_value *json_line_row(struct json_line *j, size_t row)
{
    const struct list *l = &j->list;
    assert(row < json_line_rows(j));
    for (size_t f = 0; l->n_inner && f < j->fields.n; f++)
        if (l->inner[f] != NOT_WANTED)
            j->values[f] = l->values[row * l->n_inner + l->inner[f]];
    return j->values;
}

// ---- what yajl sees ----

// A value came: it stands at `current`, and what follows stands nowhere until a key comes.
static uint32_t take_current(struct json_line *j)
{
    uint32_t f = j->current;
    j->current = NOT_WANTED;
    return f;
}

static int scalar(struct json_line *j, enum json_kind kind, const void *p, size_t n)
{
    if (j->depth == 0 && j->fields.n) return refuse(j, "not an object");
    if (j->list.name && !begin_value(j, false, kind == JSON_NULL)) return 0;
    uint32_t f = take_current(j);
    if (f != NOT_WANTED) *value_of(j, f) = (struct json_value){ kind, p, n };
    return 1;
}

static int on_null(void *ctx)
{
    return scalar(ctx, JSON_NULL, NULL, 0);
}

static int on_boolean(void *ctx, int yes)
{
    return yes ? scalar(ctx, JSON_BOOLEAN, "true", 4)
               : scalar(ctx, JSON_BOOLEAN, "false", 5);
}

static int on_number(void *ctx, const char *p, size_t n)
{
    return scalar(ctx, JSON_NUMBER, p, n);
}

static bool in_line(const struct json_line *j, const uint8_t *p)
{
    return (uintptr_t)p >= (uintptr_t)j->line && (uintptr_t)p < (uintptr_t)j->line + j->n;
}

static int on_string(void *ctx, const unsigned char *p, size_t n)
{
    struct json_line *j = ctx;
    if (j->current == NOT_WANTED || in_line(j, p)) return scalar(j, JSON_TEXT, p, n);
    if (memchr(p, 0, n)) return refuse(j, "\\u0000 in a text");
    char *copy = arena_strdup(&j->texts, (const char *)p, n);
    if (!copy) longjmp(j->no_memory, 1);
    return scalar(j, JSON_TEXT, copy, n);
}

static int open_level(struct json_line *j, bool array)
{
    if (j->depth == JSON_LINE_DEPTH) return refuse(j, "nested too deep");
    if (j->depth == 0 && array && j->fields.n) return refuse(j, "not an object");
    if (j->list.name && !begin_value(j, array, false)) return 0;
    const struct level *up = &j->level[j->depth];
    bool in_array = j->depth && up->array;
    if (array && j->list.depth == j->depth + 1) array = false; // names lead through it
    j->level[++j->depth] =
        (struct level){ .array = array || in_array,
                        .path = j->path_n,
                        .capture = take_current(j),
                        .begin = yajl_get_bytes_consumed(j->handle) - 1 };
    return 1;
}

static int close_level(void *ctx)
{
    struct json_line *j = ctx;
    const struct level *l = &j->level[j->depth--];
    j->path_n = l->path;
    if (l->capture != NOT_WANTED)
        *value_of(j, l->capture) =
            (struct json_value){ JSON_NESTED, j->line + l->begin,
                                 yajl_get_bytes_consumed(j->handle) - l->begin };
    if (j->depth < j->list.depth) j->list.depth = 0;
    return 1;
}

static int on_start_map(void *ctx)
{
    return open_level(ctx, false);
}

static int on_start_array(void *ctx)
{
    return open_level(ctx, true);
}

// A path that is too long has no field that it could be.
static int on_key(void *ctx, const unsigned char *p, size_t n)
{
    struct json_line *j = ctx;
    const struct level *l = &j->level[j->depth];
    j->current = NOT_WANTED;
    if (l->array || j->fields.n == 0) return 1;
    uint32_t at = l->path;
    if (n >= sizeof j->path || at + n + 1 > sizeof j->path) {
        j->path_n = sizeof j->path;
        return 1;
    }
    if (j->depth > 1) j->path[at++] = '.';
    memcpy(j->path + at, p, n);
    j->path_n = at + (uint32_t)n;
    j->current = find(j, j->path, j->path_n);
    if (j->list.name)
        j->list.next = !j->list.depth && j->path_n == j->list.name_n &&
                       memcmp(j->path, j->list.name, j->path_n) == 0;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = close_level,
    .yajl_start_array = on_start_array,
    .yajl_end_array = close_level,
};

// ---- lines ----

static unsigned hex4(const uint8_t *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = p[i] | 0x20u;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
        v = v << 4 | (digit & 15);
    }
    return v;
}

static unsigned escaped_unit(const uint8_t *p, size_t left) // 0: none here
{
    return left >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : 0;
}

// yajl would put a question mark there. The line is JSON: escapes are whole.
static bool has_half_pair(const uint8_t *p, size_t n, size_t *at)
{
    const uint8_t *next = memchr(p, '\\', n);
    for (size_t i = next ? (size_t)(next - p) : n; i < n;) {
        unsigned unit = escaped_unit(p + i, n - i);
        *at = i;
        if ((unit & 0xfc00) == 0xdc00) return true;
        if ((unit & 0xfc00) == 0xd800) {
            if ((escaped_unit(p + i + 6, n - i - 6) & 0xfc00) != 0xdc00) return true;
            i += 6;
        }
        i += unit ? 6 : 2;
        next = i < n ? memchr(p + i, '\\', n - i) : NULL;
        i = next ? (size_t)(next - p) : n;
    }
    return false;
}

// "lexical error: invalid char in json text." and a line end.
static void say_yajl(struct json_line *j, size_t at, char why[JSON_LINE_WHY])
{
    const char *text = (const char *)yajl_get_error(j->handle, 0, NULL, 0);
    int n = (int)strcspn(text, "\n");
    if (n && text[n - 1] == '.') n--;
    snprintf(why, JSON_LINE_WHY, "not JSON: %.*s, after %zu bytes", n, text, at);
}

static bool parse(struct json_line *j, char why[JSON_LINE_WHY])
{
    yajl_alloc_funcs funcs = { more, other, less, j };
    j->handle = yajl_alloc(&callbacks, &funcs, j);
    yajl_config(j->handle, yajl_dont_validate_strings, 1); // they are UTF-8
    yajl_status rc = yajl_parse(j->handle, j->line, j->n);
    size_t at = yajl_get_bytes_consumed(j->handle);
    if (rc == yajl_status_ok) rc = yajl_complete_parse(j->handle);
    if (rc == yajl_status_client_canceled)
        snprintf(why, JSON_LINE_WHY, "%s", j->why);
    else if (rc != yajl_status_ok)
        say_yajl(j, at, why);
    else if (j->list.wrong)
        snprintf(why, JSON_LINE_WHY, "%.80s is not a list", j->list.name);
    else if (j->fields.n && has_half_pair(j->line, j->n, &at))
        snprintf(why, JSON_LINE_WHY, "half a surrogate pair, after %zu bytes", at);
    else
        return true;
    return false;
}

err_t json_line_read(struct json_line *j, const uint8_t *p, size_t n,
                     const struct json_value **values, bool *good, char why[JSON_LINE_WHY],
                     struct err *e)
{
    size_t bad = utf8_bad(p, n);
    *good = false;
    *values = j->values;
    if (bad < n) {
        snprintf(why, JSON_LINE_WHY,
                 p[bad] ? "not UTF-8 after %zu bytes" : "a NUL byte after %zu bytes", bad);
        return ERR_OK;
    }
    memset(j->values, 0, j->fields.n * sizeof *j->values);
    arena_reset(&j->scratch);
    j->line = p;
    j->n = n;
    j->depth = j->path_n = 0;
    j->current = NOT_WANTED;
    forget_elements(&j->list);
    if (setjmp(j->no_memory)) return err_set(e, ERR_NOMEM, "out of memory: a JSON line");
    *good = parse(j, why);
    return ERR_OK;
}

#include "common/value.h"

#include "common/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct builder {
    yaml_parser_t yaml;
    yaml_event_t event;
    const char *doc;
    size_t doc_bytes;
    struct arena *mem;
    struct value *root;
    struct value *open[VALUE_MAX_DEPTH]; // lists and mappings that are not closed yet
    size_t depth;
    const char *key; // read already, its value comes next
    yaml_mark_t key_at;
    size_t count;
    int line; // the line that begins at line_at
    const char *line_at;
    struct value_place *at;
    struct err *e;
};

struct value *value_new(struct arena *mem, enum value_kind kind, const char *text)
{
    struct value *v = arena_alloc(mem, sizeof *v);
    if (!v) return NULL;
    *v = (struct value){ .kind = kind };
    if (!text) return v;
    v->text = arena_strdup(mem, text, strlen(text));
    return v->text ? v : NULL;
}

void value_add(struct value *to, struct value *member)
{
    if (to->last)
        to->last->next = member;
    else
        to->first = member;
    to->last = member;
    to->n++;
}

static void place(struct value_place *at, yaml_mark_t mark)
{
    *at = (struct value_place){ (int)mark.line + 1, (int)mark.column + 1 };
}

static err_t refuse(struct builder *b, err_t code, const char *sentence)
{
    place(b->at, b->event.start_mark);
    return err_set(b->e, code, "%s", sentence);
}

// Columns count characters, as libyaml's do.
static void place_of_byte(const char *p, size_t byte, struct value_place *at)
{
    *at = (struct value_place){ 1, 1 };
    for (size_t i = 0; i < byte; i++) {
        if (p[i] == '\n')
            *at = (struct value_place){ at->line + 1, 1 };
        else if ((p[i] & 0xc0) != 0x80)
            at->column++;
    }
}

// What YAML forbids anywhere; found here because libyaml would only tell the byte.
static err_t check_bytes(const char *p, size_t n, struct value_place *at, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t' || c == '\n' || c == '\r') continue;
        place_of_byte(p, i, at);
        return err_set(e, ERR_PARSE, "byte 0x%02x is no text; is this a job file?", c);
    }
    if (text_is_utf8(p, n)) return ERR_OK;
    size_t good = 0; // binary search of the longest valid prefix would cut sequences
    for (size_t k; good < n; good += k) {
        for (k = 1; k <= 4 && good + k <= n && !text_is_utf8(p + good, k); k++)
            ;
        if (k > 4 || good + k > n) break;
    }
    place_of_byte(p, good, at);
    return err_set(e, ERR_PARSE, "byte 0x%02x is not UTF-8; save the file as UTF-8",
                   (unsigned char)p[good]);
}

// Asked for ever later lines, so it goes on from where it was.
static const char *line_start(struct builder *b, int line)
{
    const char *end = b->doc + b->doc_bytes;
    while (b->line < line && b->line_at < end) {
        const char *lf = memchr(b->line_at, '\n', (size_t)(end - b->line_at));
        b->line_at = lf ? lf + 1 : end;
        b->line++;
    }
    return b->line_at;
}

static bool starts_with_tab(struct builder *b, int line)
{
    const char *p = line_start(b, line), *end = b->doc + b->doc_bytes;
    while (p < end && *p == ' ')
        p++;
    return p < end && *p == '\t';
}

static err_t syntax_error(struct builder *b)
{
    const yaml_parser_t *y = &b->yaml;
    if (y->error == YAML_MEMORY_ERROR) return err_set(b->e, ERR_NOMEM, "out of memory");
    const char *problem = y->problem ? y->problem : "it cannot be read";
    if (y->error == YAML_READER_ERROR) {
        size_t byte = y->problem_offset < b->doc_bytes ? y->problem_offset : b->doc_bytes;
        place_of_byte(b->doc, byte, b->at);
        return err_set(b->e, ERR_PARSE, "not valid YAML: %s", problem);
    }
    place(b->at, y->problem_mark);
    if (strstr(problem, "cannot start any token") && starts_with_tab(b, b->at->line))
        return err_set(b->e, ERR_PARSE, "not valid YAML: a TAB; indent with spaces");
    if (strstr(problem, "mapping values are not allowed"))
        return err_set(
            b->e, ERR_PARSE,
            "not valid YAML: a colon where none can be; a text with a colon wants "
            "quotes");
    if (y->context && strstr(y->context, "scanning an alias"))
        return err_set(b->e, ERR_PARSE,
                       "not valid YAML: a text that begins with * wants quotes");
    if (y->context && y->context_mark.line != y->problem_mark.line)
        return err_set(b->e, ERR_PARSE, "not valid YAML: %s, %s that begins on line %zu",
                       problem, y->context, y->context_mark.line + 1);
    return err_set(b->e, ERR_PARSE, "not valid YAML: %s%s%s", problem,
                   y->context ? ", " : "", y->context ? y->context : "");
}

static err_t add(struct builder *b, struct value *v)
{
    struct value *in = b->depth ? b->open[b->depth - 1] : NULL;
    if (++b->count > VALUE_MAX_COUNT)
        return refuse(b, ERR_TOOBIG, "more than 50000 values");
    v->line = (int)b->event.start_mark.line + 1;
    v->column = (int)b->event.start_mark.column + 1;
    if (!in) {
        b->root = v;
        return ERR_OK;
    }
    if (in->kind == VALUE_MAP) {
        v->key = b->key;
        v->key_line = (int)b->key_at.line + 1;
        v->key_column = (int)b->key_at.column + 1;
        b->key = NULL;
        if (in->n >= VALUE_MAX_KEYS)
            return refuse(b, ERR_TOOBIG, "more than 2000 keys in one mapping");
    }
    value_add(in, v);
    return ERR_OK;
}

static bool key_expected(const struct builder *b)
{
    return b->depth && b->open[b->depth - 1]->kind == VALUE_MAP && !b->key;
}

static err_t open_group(struct builder *b, enum value_kind kind)
{
    if (key_expected(b)) return refuse(b, ERR_PARSE, "a key must be a plain text");
    if (b->depth == VALUE_MAX_DEPTH)
        return refuse(b, ERR_TOOBIG, "nested more than 16 levels deep");
    struct value *v = value_new(b->mem, kind, NULL);
    if (!v) return err_set(b->e, ERR_NOMEM, "out of memory");
    TRY(add(b, v));
    b->open[b->depth++] = v;
    return ERR_OK;
}

// A block text begins below its '|' or '>', where its first line is indented to.
static void find_text(struct builder *b, struct value *v, yaml_scalar_style_t style)
{
    v->text_line = v->line;
    v->text_column = v->column;
    if (style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
        style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
        v->text_column++;
    if (style != YAML_LITERAL_SCALAR_STYLE && style != YAML_FOLDED_SCALAR_STYLE) return;
    v->text_line++;
    const char *p = line_start(b, v->text_line), *end = b->doc + b->doc_bytes;
    v->text_column = 1;
    while (p < end && *p == ' ') {
        v->text_column++;
        p++;
    }
}

static err_t scalar(struct builder *b)
{
    const char *text = (const char *)b->event.data.scalar.value;
    size_t n = b->event.data.scalar.length;
    yaml_scalar_style_t style = b->event.data.scalar.style;
    if (memchr(text, 0, n)) return refuse(b, ERR_PARSE, "a text holds a NUL character");
    char *copy = arena_strdup(b->mem, text, n);
    if (!copy) return err_set(b->e, ERR_NOMEM, "out of memory");
    if (key_expected(b)) {
        b->key = copy;
        b->key_at = b->event.start_mark;
        return ERR_OK;
    }
    struct value *v = value_new(b->mem, VALUE_TEXT, NULL);
    if (!v) return err_set(b->e, ERR_NOMEM, "out of memory");
    v->text = copy;
    v->nothing = style == YAML_PLAIN_SCALAR_STYLE &&
                 (n == 0 || strcmp(copy, "~") == 0 || strcmp(copy, "null") == 0);
    TRY(add(b, v));
    find_text(b, v, style);
    return ERR_OK;
}

static err_t refuse_extras(struct builder *b, const yaml_char_t *anchor,
                           const yaml_char_t *tag)
{
    if (anchor)
        return refuse(
            b, ERR_PARSE,
            "anchors (&name) are not supported; write the value out where it is used");
    if (tag) return refuse(b, ERR_PARSE, "tags (!name) are not supported; leave it out");
    return ERR_OK;
}

static err_t on_event(struct builder *b, bool *end)
{
    const yaml_event_t *ev = &b->event;
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return refuse(b, ERR_PARSE, "a second document begins; a job file holds one");
        return ERR_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, ERR_PARSE,
                      "aliases (*name) are not supported; write the value out");
    case YAML_SCALAR_EVENT:
        TRY(refuse_extras(b, ev->data.scalar.anchor, ev->data.scalar.tag));
        return scalar(b);
    case YAML_SEQUENCE_START_EVENT:
        TRY(refuse_extras(b, ev->data.sequence_start.anchor, ev->data.sequence_start.tag));
        return open_group(b, VALUE_LIST);
    case YAML_MAPPING_START_EVENT:
        TRY(refuse_extras(b, ev->data.mapping_start.anchor, ev->data.mapping_start.tag));
        return open_group(b, VALUE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->depth--; return ERR_OK;
    case YAML_STREAM_END_EVENT: *end = true; return ERR_OK;
    default: return ERR_OK;
    }
}

err_t value_parse(struct value **out, struct arena *mem, const char *p, size_t n,
                  struct value_place *at, struct err *e)
{
    *out = NULL;
    *at = (struct value_place){ 1, 1 };
    if (n > VALUE_MAX_BYTES) return err_set(e, ERR_TOOBIG, "larger than 1 MiB");
    if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) { // byte order mark
        p += 3;
        n -= 3;
    }
    TRY(check_bytes(p, n, at, e));
    struct builder b = { .doc = p, .doc_bytes = n, .mem = mem, .at = at, .e = e };
    b.line = 1;
    b.line_at = p;
    if (!yaml_parser_initialize(&b.yaml)) return err_set(e, ERR_NOMEM, "out of memory");
    yaml_parser_set_encoding(&b.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.yaml, (const unsigned char *)p, n);
    err_t rc = ERR_OK;
    bool end = false;
    while (rc == ERR_OK && !end) {
        if (!yaml_parser_parse(&b.yaml, &b.event)) {
            rc = syntax_error(&b);
            break;
        }
        rc = on_event(&b, &end);
        yaml_event_delete(&b.event);
    }
    yaml_parser_delete(&b.yaml);
    if (rc == ERR_OK && b.root && !(b.root->kind == VALUE_TEXT && b.root->nothing))
        *out = b.root;
    return rc;
}

#include "worker/arrow.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT_MAX = 64, NAME_MAX_BYTES = 64 * 1024 };

static const struct {
    const char *format;
    enum arrow_kind kind;
    enum type type;
} FLAT[] = {
    { "n", ARROW_NULL, TYPE_ANY },
    { "b", ARROW_BOOL, TYPE_BOOLEAN },
    { "c", ARROW_INT8, TYPE_INTEGER },
    { "C", ARROW_UINT8, TYPE_INTEGER },
    { "s", ARROW_INT16, TYPE_INTEGER },
    { "S", ARROW_UINT16, TYPE_INTEGER },
    { "i", ARROW_INT32, TYPE_INTEGER },
    { "I", ARROW_UINT32, TYPE_INTEGER },
    { "l", ARROW_INT64, TYPE_INTEGER },
    { "L", ARROW_UINT64, TYPE_INTEGER },
    { "f", ARROW_FLOAT, TYPE_REAL },
    { "g", ARROW_DOUBLE, TYPE_REAL },
    { "u", ARROW_UTF8, TYPE_TEXT },
    { "U", ARROW_LARGE_UTF8, TYPE_TEXT },
    { "z", ARROW_BINARY, TYPE_ANY },
    { "Z", ARROW_LARGE_BINARY, TYPE_ANY },
    { "tdD", ARROW_DATE_DAYS, TYPE_DATE },
    { "tdm", ARROW_DATE_MS, TYPE_DATE },
    { "tss:", ARROW_TIME_S, TYPE_TIMESTAMP },
    { "tsm:", ARROW_TIME_MS, TYPE_TIMESTAMP },
    { "tsu:", ARROW_TIME_US, TYPE_TIMESTAMP },
    { "tsn:", ARROW_TIME_NS, TYPE_TIMESTAMP },
};

int arrow_buffers(enum arrow_kind k)
{
    if (k == ARROW_NULL) return 0;
    return k >= ARROW_UTF8 && k <= ARROW_LARGE_BINARY ? 3 : 2;
}

void arrow_layout_free(struct arrow_layout *l)
{
    free(l->col);
    *l = (struct arrow_layout){ 0 };
}

// ---- out ----

static const char *format_of(enum type t)
{
    switch (t) {
    case TYPE_INTEGER: return "l";
    case TYPE_REAL: return "g";
    case TYPE_BOOLEAN: return "b";
    default: return "u";
    }
}

err_t arrow_schema_write(const struct schema *s, struct ArrowSchema *out, struct err *e)
{
    tranche_schema_begin(out);
    for (uint32_t i = 0; i < s->n; i++) {
        if (tranche_schema_add(out, s->f[i].name, format_of(s->f[i].type)) == 0) continue;
        arrow_schema_release(out);
        return err_set(e, ERR_NOMEM, "out of memory: a schema for the plugin");
    }
    return ERR_OK;
}

// ---- in ----

// False: no such flat type, or none that a table has a place for.
static bool flat(const char *format, struct arrow_column *c, enum type *type)
{
    for (size_t i = 0; i < sizeof FLAT / sizeof *FLAT; i++) {
        size_t n = strlen(FLAT[i].format);
        bool time = FLAT[i].type == TYPE_TIMESTAMP; // "tsm:Europe/Berlin"
        if ((time ? strncmp(format, FLAT[i].format, n) : strcmp(format, FLAT[i].format)) !=
            0)
            continue;
        c->kind = FLAT[i].kind;
        c->zone = time && format[n];
        *type = FLAT[i].type;
        return true;
    }
    return false;
}

static err_t no_place(const struct arrow_column *c, const char *format, struct err *e)
{
    const char *hint = format[0] == '+' ? "a table has no place for nested values: give "
                                          "their parts columns of their own"
                       : format[0] == 'd'
                           ? "decimals are not supported: give a double, or "
                             "text"
                           : "not one of n b c C s S i I l L f g u U z Z tdD "
                             "tdm tss tsm tsu tsn";
    return err_set(e, ERR_TRANSFORM,
                   "the plugin's column '%s' has the Arrow type '%.40s': %s", c->name,
                   format, hint);
}

static err_t read_dictionary(const struct ArrowSchema *s, struct arrow_column *c,
                             enum type *type, struct err *e)
{
    struct arrow_column values = { 0 };
    const struct ArrowSchema *d = s->dictionary;
    bool index = c->kind >= ARROW_INT8 && c->kind <= ARROW_UINT64;
    if (!index || !d->release || !d->format || d->dictionary || d->n_children ||
        strnlen(d->format, FORMAT_MAX) == FORMAT_MAX || !flat(d->format, &values, type) ||
        *type != TYPE_TEXT)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's column '%s' is a dictionary: its indices must be "
                       "integers and its values text (u or U)",
                       c->name);
    c->dictionary = true;
    c->values = values.kind;
    return ERR_OK;
}

static err_t read_name(const struct ArrowSchema *s, int64_t i, struct arrow_column *c,
                       struct err *e)
{
    size_t n = s->name ? strnlen(s->name, NAME_MAX_BYTES) : 0;
    if (n == 0)
        return err_set(e, ERR_TRANSFORM, "column %lld of the plugin has no name",
                       (long long)i + 1);
    if (n == NAME_MAX_BYTES || utf8_bad((const uint8_t *)s->name, n) != n)
        return err_set(e, ERR_TRANSFORM,
                       "the name of the plugin's column %lld is not UTF-8, or over 64 KiB",
                       (long long)i + 1);
    n = utf8_cut((const uint8_t *)s->name, n, sizeof c->name - 1);
    memcpy(c->name, s->name, n);
    c->name[n] = 0;
    return ERR_OK;
}

static err_t read_column(const struct ArrowSchema *s, int64_t i, struct schema *out,
                         struct arrow_column *c, struct err *e)
{
    enum type type;
    if (!s || !s->release || !s->format || strnlen(s->format, FORMAT_MAX) == FORMAT_MAX)
        return err_set(e, ERR_TRANSFORM,
                       "column %lld of the plugin has no schema, a released one, or one "
                       "without a format",
                       (long long)i + 1);
    TRY(read_name(s, i, c, e));
    if (!flat(s->format, c, &type)) return no_place(c, s->format, e);
    if (s->n_children)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's column '%s' has children, which '%s' has not", c->name,
                       s->format);
    if (s->dictionary) TRY(read_dictionary(s, c, &type, e));
    if (schema_find(out, s->name) >= 0)
        return err_set(e, ERR_TRANSFORM,
                       "two of the plugin's columns are named '%s' (case does not count)",
                       c->name);
    return schema_add(out, s->name, strlen(s->name), type, false, e);
}

static err_t check_root(const struct ArrowSchema *s, struct err *e)
{
    if (!s->release) return err_set(e, ERR_TRANSFORM, "the plugin's bind gave no schema");
    if (!s->format || strcmp(s->format, "+s") != 0 || s->dictionary)
        return err_set(e, ERR_TRANSFORM,
                       "the schema that the plugin's bind gave is not a struct ('+s')");
    if (s->n_children < 1 || s->n_children > SCHEMA_MAX_COLUMNS || !s->children)
        return err_set(e, ERR_TRANSFORM,
                       "the plugin's bind gave %lld columns; 1 to %d can be",
                       (long long)s->n_children, SCHEMA_MAX_COLUMNS);
    return ERR_OK;
}

err_t arrow_schema_read(const struct ArrowSchema *s, struct schema *out,
                        struct arrow_layout *layout, struct err *e)
{
    *out = (struct schema){ 0 };
    *layout = (struct arrow_layout){ 0 };
    TRY(check_root(s, e));
    layout->col = calloc((size_t)s->n_children, sizeof *layout->col);
    if (!layout->col) return err_set(e, ERR_NOMEM, "out of memory: a plugin's schema");
    err_t rc = ERR_OK;
    for (int64_t i = 0; rc == ERR_OK && i < s->n_children; i++, layout->n++)
        rc = read_column(s->children[i], i, out, &layout->col[i], e);
    if (rc == ERR_OK) return ERR_OK;
    schema_free(out);
    arrow_layout_free(layout);
    return rc;
}

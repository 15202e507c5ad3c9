#include "common/types.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *type_name(enum type t)
{
    switch (t) {
#define X(name, num, text, decl, aff) \
    case TYPE_##name: return text;
        TYPES(X)
#undef X
    }
    return "?";
}

const char *type_sqlite_decl(enum type t)
{
    switch (t) {
#define X(name, num, text, decl, aff) \
    case TYPE_##name: return decl;
        TYPES(X)
#undef X
    }
    return "";
}

bool type_parse(const char *name, enum type *out)
{
#define X(id, num, text, decl, aff)    \
    if (strcasecmp(name, text) == 0) { \
        *out = TYPE_##id;              \
        return true;                   \
    }
    TYPES(X)
#undef X
    return false;
}

err_t schema_add(struct schema *s, const char *name, size_t name_len, enum type type,
                 bool given, struct err *e)
{
    if (s->n >= SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_TOOBIG, "more than %d columns", SCHEMA_MAX_COLUMNS);
    struct field *f = realloc(s->f, (s->n + 1) * sizeof *f);
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    s->f = f;
    char *copy = strndup(name, name_len);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    s->f[s->n++] = (struct field){ copy, type, given };
    return ERR_OK;
}

err_t schema_copy(struct schema *to, const struct schema *from, struct err *e)
{
    struct schema s = { 0 };
    for (uint32_t i = 0; i < from->n; i++) {
        const struct field *f = &from->f[i];
        err_t rc = schema_add(&s, f->name, strlen(f->name), f->type, f->given, e);
        if (rc != ERR_OK) {
            schema_free(&s);
            return rc;
        }
    }
    *to = s;
    return ERR_OK;
}

int schema_find(const struct schema *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (strcasecmp(s->f[i].name, name) == 0) return (int)i;
    return -1;
}

void schema_free(struct schema *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->f[i].name);
    free(s->f);
    *s = (struct schema){ 0 };
}

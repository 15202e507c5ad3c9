// types - column types and schemas.

#ifndef COMMON_TYPES_H
#define COMMON_TYPES_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(NAME, wire number, name in job files, declared type in SQLite, affinity letter)
// The affinity letter is SQLite's: d integer, e real, b text, a none ("blob"), c numeric.
// Dates and timestamps are ISO 8601 text, kept byte for byte; booleans are 0 and 1.
#define TYPES(X)                              \
    X(INTEGER, 1, "integer", "INTEGER", 'd')  \
    X(REAL, 2, "real", "REAL", 'e')           \
    X(TEXT, 3, "text", "TEXT", 'b')           \
    X(BOOLEAN, 4, "boolean", "INTEGER", 'd')  \
    X(DATE, 5, "date", "TEXT", 'b')           \
    X(TIMESTAMP, 6, "timestamp", "TEXT", 'b') \
    X(ANY, 7, "any", "", 'a') /* each value has its own type: what SQL returns */

enum type {
#define X(name, num, text, decl, aff) TYPE_##name = num,
    TYPES(X)
#undef X
};

const char *type_name(enum type t);                // "integer", ...; "?" for a stranger
const char *type_sqlite_decl(enum type t);         // "INTEGER", ...; "" for ANY
bool type_parse(const char *name, enum type *out); // false: no such type
static inline bool type_is_text(enum type t)
{
    return t == TYPE_TEXT || t == TYPE_DATE || t == TYPE_TIMESTAMP;
}

struct field {
    char *name; // UTF-8, unique in its schema without regard to ASCII case, never empty
    enum type type;
    bool given; // the user said the type: a value that does not fit rejects its row
};

enum { SCHEMA_MAX_COLUMNS = 2000 };

struct schema { // owns fields and names; zero-initialised is a valid empty schema
    struct field *f;
    uint32_t n;
};

MUST_CHECK err_t schema_add(struct schema *s, const char *name, size_t name_len,
                            enum type type, bool given, struct err *e);
MUST_CHECK err_t schema_copy(struct schema *to, const struct schema *from, struct err *e);
int schema_find(const struct schema *s, const char *name); // -1: none; ASCII case ignored
void schema_free(struct schema *s);                        // leaves a valid empty schema

#endif

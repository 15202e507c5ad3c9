// value - a YAML document (or a flag's value) as a tree of texts, lists and mappings that
// know where they were written. Texts are not interpreted: `NULL`, `1` and "1" are texts.

#ifndef COMMON_VALUE_H
#define COMMON_VALUE_H

#include "common/arena.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    VALUE_MAX_BYTES = 1 << 20, // of a document
    VALUE_MAX_DEPTH = 16,
    VALUE_MAX_COUNT = 50000, // texts, lists and mappings
    VALUE_MAX_KEYS = 2000,   // of one mapping
};

enum value_kind { VALUE_TEXT, VALUE_LIST, VALUE_MAP };

struct value { // everything lives in the arena that it was made in
    enum value_kind kind;
    bool nothing;               // an unquoted empty text, `~` or `null`
    int line, column;           // where it is written, from 1; 0: a flag
    int text_line, text_column; // where its first character stands (block texts: below)
    const char *text;           // TEXT: UTF-8 without NUL
    struct value *first, *last; // LIST, MAP: its members, linked by `next`
    size_t n;
    const char *key; // of a mapping's member
    int key_line, key_column;
    struct value *next;
};

struct value_place {
    int line, column;
};

// Reads one document. *out is NULL when it is empty. ERR_PARSE, ERR_TOOBIG: the sentence,
// without the place, is in e, the place in *at. Anchors, aliases, tags, keys that are not
// texts, and further documents are refused.
MUST_CHECK err_t value_parse(struct value **out, struct arena *mem, const char *p, size_t n,
                             struct value_place *at, struct err *e);

// For flags: a value without a place. `text` is copied; NULL makes no text. NULL: no
// memory.
struct value *value_new(struct arena *mem, enum value_kind kind, const char *text);
void value_add(struct value *to, struct value *member); // links it in as the last

#endif

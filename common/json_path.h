// json_path - a place in a JSON value, of which there may be many: $.items[*].name.
//
// `$` is the whole value; .name a member of an object, ['name'] the same for any name, [*]
// each element of a list. This is the part of JSONPath (RFC 9535) that names places
// without searching.

#ifndef COMMON_JSON_PATH_H
#define COMMON_JSON_PATH_H

#include "common/json_line.h"

enum { JSON_PATH_STEPS = 16 };

struct json_path { // zero-initialised is the whole value
    struct json_path_step {
        char *member; // NULL: each element
    } step[JSON_PATH_STEPS];
    size_t n;
    size_t many; // how many of them are [*]
};

// ERR_INVALID: it is none, and where. `p` is freed by the caller in any case.
MUST_CHECK err_t json_path_parse(struct json_path *p, const char *text, struct err *e);
void json_path_free(struct json_path *p); // leaves the path of the whole value

// ---- rows of a JSON text ----

struct json_pick; // finds the values at a path, and of each of them the members asked for

// `fields`: dotted names as json_line.h has them; none: the values themselves. `what` names
// the text in sentences ("the answer") and is borrowed, like everything is copied that is
// not.
MUST_CHECK err_t json_pick_new(struct json_pick **out, const char *path,
                               const struct strings *fields, const char *what,
                               struct err *e);
void json_pick_free(struct json_pick **p);

// One row: a value a field, or the one value. It lives until the function returns.
typedef err_t json_pick_fn(void *arg, const struct json_value *values, struct err *e);

// Calls `row` for each in order. *good = false: the text is no JSON, there is nothing at
// the path, or what stands there is of another kind; `why` says it, and rows may have been
// given before. Errors: ERR_NOMEM, and those of `row`.
MUST_CHECK err_t json_pick_read(struct json_pick *p, const uint8_t *text, size_t n,
                                json_pick_fn *row, void *arg, bool *good,
                                char why[JSON_LINE_WHY], struct err *e);

// Whether the last text was refused because nothing, or null, stood on the path.
bool json_pick_found_nothing(const struct json_pick *p);

#endif

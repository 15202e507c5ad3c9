// json_line - one line of a JSON lines file: whether it is JSON, and the values of the
// members that are asked for. Parsed by yajl; here is what values mean.
//
// A member is named by the keys on the way to it with dots between: address.city. A key
// that holds a dot itself is found by the same name. Members of arrays are not found. When
// a name comes twice, the last value counts.
//
// A line is refused when it is not UTF-8 or holds a NUL byte, is not one JSON value
// (RFC 8259), is nested deeper than JSON_LINE_DEPTH, and, when members are asked for, when
// it is no object, has half a surrogate pair, or \u0000 in a text that is asked for.

#ifndef COMMON_JSON_LINE_H
#define COMMON_JSON_LINE_H

#include "common/err.h"
#include "common/job.h"

enum { JSON_LINE_DEPTH = 512, JSON_LINE_WHY = 200 };

enum json_kind {
    JSON_NULL, // or not there
    JSON_NUMBER,
    JSON_TEXT,
    JSON_BOOLEAN,
    JSON_NESTED, // an object or array, as it is written
};

struct json_value {
    enum json_kind kind;
    const uint8_t *p; // numbers as written, texts without quotes and escapes
    size_t n;
};

struct json_line;

// `fields` are copied; none: lines are only checked.
MUST_CHECK err_t json_line_new(struct json_line **out, const struct strings *fields,
                               struct err *e);
void json_line_free(struct json_line **j);
void json_line_reset(struct json_line *j); // forgets the texts of earlier lines

// *good = false: `why` says what is wrong with the line. Else *values (one a field, the
// parser's until the next call) point into the line, or to texts that live until
// json_line_reset. Errors: ERR_NOMEM only.
MUST_CHECK err_t json_line_read(struct json_line *j, const uint8_t *p, size_t n,
                                const struct json_value **values, bool *good,
                                char why[JSON_LINE_WHY], struct err *e);

#endif

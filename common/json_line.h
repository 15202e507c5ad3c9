// json_line - one line of a JSON lines file: whether it is JSON, and the values of the
// members that are asked for. Parsed by yajl; here is what values mean.
//
// A member is named by the keys on the way to it with dots between: address.city. A key
// that holds a dot itself is found by the same name. Members of arrays are not found. When
// a name comes twice, the last value counts.
//
// Of lines that are read by a list (json_line_by_list) each element is a row: with the list
// `emails`, the name emails.address is a member of the element, emails the element itself,
// and all other names are the same in each row. Where the list is missing, null or empty
// there is no row; another value in its place refuses the line.
//
// A line is refused when it is not UTF-8 or holds a NUL byte, is not one JSON value
// (RFC 8259), is nested deeper than JSON_LINE_DEPTH, and, when members are asked for, when
// it is no object, has half a surrogate pair, or \u0000 in a text that is asked for.

#ifndef COMMON_JSON_LINE_H
#define COMMON_JSON_LINE_H

#include "common/err.h"
#include "common/job.h"

enum { JSON_LINE_DEPTH = 512, JSON_LINE_WHY = 200 };
enum { JSON_LINE_VALUES = 4 << 20 }; // of the elements of one line

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
// Before the first line; `list` is a name like those of the fields, and copied.
MUST_CHECK err_t json_line_by_list(struct json_line *j, const char *list, struct err *e);
void json_line_free(struct json_line **j);
void json_line_reset(struct json_line *j); // forgets the texts of earlier lines

// *good = false: `why` says what is wrong with the line. Else *values (one a field, the
// parser's until the next call) point into the line, or to texts that live until
// json_line_reset. Errors: ERR_NOMEM only.
MUST_CHECK err_t json_line_read(struct json_line *j, const uint8_t *p, size_t n,
                                const struct json_value **values, bool *good,
                                char why[JSON_LINE_WHY], struct err *e);

// Of the last line, which was good: how many rows it has (without a list: one), and the
// values of one, the parser's until the next call.
size_t json_line_rows(const struct json_line *j);
const struct json_value *json_line_row(struct json_line *j, size_t row);

#endif

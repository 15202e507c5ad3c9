// infer - the types of columns, from the values that were seen.
//
// A column gets the narrowest type that fits every value seen and not NULL: integer, real,
// date, timestamp, else text. Numbers must survive as they are written: 00501, +5 and
// numbers of 20 digits make a column text, and so does 1e5 unless some value of the column
// has a decimal point. Booleans are inferred of JSON only. A quoted value counts like an
// unquoted one. A column of which only NULLs were seen is text.

#ifndef COMMON_INFER_H
#define COMMON_INFER_H

#include "common/csv_read.h"
#include "common/json_line.h"
#include "common/types.h"

enum { INFER_VALUE_SHOWN = 40 };

struct infer_column { // zero-initialised: nothing seen
    uint64_t values;  // seen, without NULLs
    uint64_t nulls;
    uint8_t refuted;   // bit t: some value does not fit enum type t
    bool point;        // some value has a decimal point
    uint64_t booleans; // JSON's true and false among the values
    // The first value that did not fit what the column looked like until then (was); 0:
    // none
    enum type was;
    char because[INFER_VALUE_SHOWN]; // cut, control characters replaced
};

void infer_value(struct infer_column *c, const struct csv_value *v);
void infer_null(struct infer_column *c);
// A value of a JSON line: its texts are never numbers, however they look, its numbers with
// a point or exponent are reals; true and false make a boolean column when there is nothing
// else; objects and arrays are text.
void infer_json(struct infer_column *c, const struct json_value *v);
enum type infer_type(const struct infer_column *c);

#endif

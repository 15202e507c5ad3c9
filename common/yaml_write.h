// yaml_write - writes YAML that common/value reads back as the same texts: mappings and
// lists in block form, texts plain where that is safe, else in double quotes, those of
// several lines as they stand.

#ifndef COMMON_YAML_WRITE_H
#define COMMON_YAML_WRITE_H

#include "common/buf.h"
#include "common/job_lists.h"

struct yaml { // zero-initialised: nothing written; `out` is freed by the caller
    struct buf out;
    int depth;     // of mappings and lists around the next line
    bool item;     // the next line begins with "- "
    err_t rc;      // the first failure: nothing is written after it
    struct err *e; // may be NULL
};

// "key:" of what stands deeper, until yaml_end.
void yaml_begin(struct yaml *y, const char *key);
void yaml_end(struct yaml *y);
// A list's next member, a mapping; until yaml_end.
void yaml_item(struct yaml *y);
void yaml_text(struct yaml *y, const char *key, const char *text);
void yaml_number(struct yaml *y, const char *key, uint64_t n);
void yaml_strings(struct yaml *y, const char *key, const struct strings *s); // [a, b]
void yaml_item_strings(struct yaml *y, const struct strings *s);             // - [a, b]
void yaml_pairs(struct yaml *y, const char *key, const struct job_pairs *p); // {a: b}
// A line of its own, or several: control characters are shown as they are elsewhere.
void yaml_comment(struct yaml *y, const char *text);

#endif

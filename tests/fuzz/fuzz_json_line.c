// Reads any bytes as a JSON line: with fields, without, and with elements of a list as
// rows. What has good values is JSON too, and every value is where it may be.

#include "common/json_line.h"
#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct json_value *v, const uint8_t *line, size_t n)
{
    switch (v->kind) {
    case JSON_NULL:
        if (v->n) abort();
        return;
    case JSON_NESTED:
        if (v->p < line || v->n < 2 || (size_t)(v->p - line) + v->n > n) abort();
        if (*v->p != '{' && *v->p != '[') abort();
        if (v->p[v->n - 1] != '}' && v->p[v->n - 1] != ']') abort();
        return;
    case JSON_NUMBER:
    case JSON_TEXT:
    case JSON_BOOLEAN:
        if (utf8_bad(v->p, v->n) != v->n) abort();
        return;
    }
    abort();
}

static bool read_line(const struct strings *fields, const char *list, const uint8_t *line,
                      size_t n)
{
    struct json_line *j = NULL;
    const struct json_value *values;
    char why[JSON_LINE_WHY] = "";
    bool good = false;
    if (json_line_new(&j, fields, NULL) != ERR_OK) return false;
    if (list && json_line_by_list(j, list, NULL) != ERR_OK) abort();
    if (json_line_read(j, line, n, &values, &good, why, NULL) != ERR_OK) abort();
    if (good && !list && json_line_rows(j) != 1) abort();
    for (size_t k = 0; good && k < json_line_rows(j); k++) {
        values = json_line_row(j, k);
        for (size_t i = 0; i < fields->n; i++)
            check(&values[i], line, n);
    }
    if (!good && !*why) abort();
    json_line_free(&j);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char a[] = "a", ab[] = "a.b", b[] = "b";
    static char *names[] = { a, ab, b };
    const struct strings fields = { names, 3 }, none = { 0 };
    uint8_t *copy = malloc(size ? size : 1); // of exactly this size: asan sees past it
    if (!copy) return 0;
    if (size) memcpy(copy, data, size);
    bool with = read_line(&fields, NULL, copy, size);
    if (with && !read_line(&none, NULL, copy, size)) abort();
    if (read_line(&fields, a, copy, size) && !with) abort();
    if (read_line(&fields, ab, copy, size) && !with) abort();
    free(copy);
    return 0;
}

/* plugin.h - a transform of your own, as a shared library.
 *
 * The only header of Tranche that is promised to outsiders: C99 or C++11, nothing else of
 * Tranche is needed to build a plugin, and nothing of it is linked.
 *
 *     cc -O2 -shared -fPIC -o libmine.so mine.c
 *
 * A plugin exports one function, tranche_plugin(). Batches go in and out in the Arrow C
 * Data Interface (https://arrow.apache.org/docs/format/CDataInterface.html), so that any
 * Arrow implementation can be used inside without copying. docs/PLUGIN.md is the guide,
 * examples/plugin/template.c a plugin to start from.
 *
 * It is loaded in processes of their own that run job code, never in a worker's parent nor
 * in the coordinator: when it crashes, exits or hangs, its batch is tried again, then
 * bisected.
 *
 * Threads. Each instance (what init makes) is used by one thread at a time, though not
 * always by the same. With `workers.concurrency` several instances live in one process and
 * are used at the same time: variables outside of the instance must bear that. Threads that
 * a plugin starts must not touch a batch after apply has returned. Stacks have 256 KiB.
 */

#ifndef TRANCHE_PLUGIN_H
#define TRANCHE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Arrow C Data Interface, as its page says; other Arrow headers may have it already
 * ---- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

/* ---- the ABI ---- */

#define TRANCHE_PLUGIN_ABI 1

/* What bind says of a column in reads[]. */
#define TRANCHE_READ_NOT  0
#define TRANCHE_READ      1
#define TRANCHE_READ_TIME 2 /* a date comes as tdD, a timestamp as tsu: instead of text */

struct tranche_arg { /* one entry of `args:` */
    const char *name, *value;
};

enum tranche_kind {
    TRANCHE_NULL,
    TRANCHE_INTEGER,
    TRANCHE_REAL,
    TRANCHE_TEXT, /* UTF-8, a NUL follows */
    TRANCHE_BLOB
};

struct tranche_param { /* one value of `params:`, read from the warehouse before the run */
    const char *name;
    int kind; /* enum tranche_kind */
    int64_t integer;
    double real;
    const char *text; /* TEXT and BLOB ... */
    size_t bytes;     /* ... have so many */
};

struct tranche_job { /* all of it lives as long as the instance */
    size_t size;     /* of this struct; later versions may append members */
    const struct tranche_arg *args;
    size_t n_args;
    const struct tranche_param *params;
    size_t n_params;
};

struct tranche_error { /* what went wrong, one sentence, UTF-8 */
    char text[1000];
};

/* Functions return 0, or anything else for a failure that *e explains. They may be called
 * again after a failure. Nothing that they are given is kept, but for `job`. */
struct tranche_plugin {
    uint32_t abi;     /* TRANCHE_PLUGIN_ABI */
    size_t size;      /* sizeof(struct tranche_plugin) */
    const char *name; /* for messages */

    /* Makes an instance. May be NULL: then state is NULL. */
    int (*init)(void **state, const struct tranche_job *job, struct tranche_error *e);

    /* Once an instance, before any batch: says what columns go out for those that come in.
     * Both schemas are structs ("+s"); `in` stays the caller's, `out` is released by the
     * caller. reads[i] is 1 for each column of `in`: set it to 0 where the plugin does not
     * look, and the column is not even parsed; it then comes as all NULL. Set to
     * TRANCHE_READ_TIME, a date comes as tdD (days since 1970), a timestamp as tsu:
     * (microseconds since then; one with a time zone in UTC) instead of its text.
     *
     * Columns come as l (int64), g (double), b (boolean) and u (text, dates and
     * timestamps). Columns may go out as b, c, C, s, S, i, I, l, L, f, g, u, U, z, Z, n,
     * tdD, tdm, tss, tsm, tsu, tsn, and as dictionaries of u or U.
     *
     * The same columns must give the same result in every process. */
    int (*bind)(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e);

    /* One batch: a struct array without NULL structs. `in` is the plugin's: it may be left
     * alone (the caller releases it), be released, or be moved, whole or child by child,
     * into `out`; it must be gone when `out` is. `out` may have any number of rows; it is
     * released by the caller before the next call. After `limits.timeout` the whole
     * process is killed. */
    int (*apply)(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e);

    void (*close)(void *state); /* may be NULL */
};

#if defined(__GNUC__)
#define TRANCHE_EXPORT __attribute__((visibility("default")))
#else
#define TRANCHE_EXPORT
#endif

/* The one entry point. `abi` is what Tranche was built with; a plugin that can't serve it
 * may return NULL. What it returns is never freed, and never changes. */
TRANCHE_EXPORT const struct tranche_plugin *tranche_plugin(uint32_t abi);

/* ---- helpers, for plugins that are written by hand; whoever has Arrow needs none ---- */

#if defined(__GNUC__)
#define TRANCHE_HELPER static inline __attribute__((unused))
#else
#define TRANCHE_HELPER static inline
#endif

TRANCHE_HELPER int tranche_fail(struct tranche_error *e, const char *text)
{
    size_t n = strlen(text);
    if (n >= sizeof e->text) n = sizeof e->text - 1;
    memcpy(e->text, text, n);
    e->text[n] = 0;
    return 1;
}

/* The value of an entry of `args:`, or what holds without it. */
TRANCHE_HELPER const char *tranche_arg(const struct tranche_job *job, const char *name,
                                       const char *otherwise)
{
    for (size_t i = 0; i < job->n_args; i++)
        if (strcmp(job->args[i].name, name) == 0) return job->args[i].value;
    return otherwise;
}

/* The number of the column of that name; -1: there is none. */
TRANCHE_HELPER int64_t tranche_column(const struct ArrowSchema *s, const char *name)
{
    for (int64_t i = 0; i < s->n_children; i++)
        if (strcmp(s->children[i]->name, name) == 0) return i;
    return -1;
}

/* Values of a column that came in, from its first row on. */
TRANCHE_HELPER const int64_t *tranche_int64s(const struct ArrowArray *in, int64_t column)
{
    const struct ArrowArray *c = in->children[column];
    return (const int64_t *)c->buffers[1] + c->offset;
}

TRANCHE_HELPER const double *tranche_doubles(const struct ArrowArray *in, int64_t column)
{
    const struct ArrowArray *c = in->children[column];
    return (const double *)c->buffers[1] + c->offset;
}

TRANCHE_HELPER const char *tranche_text(const struct ArrowArray *in, int64_t column,
                                        int64_t row, size_t *bytes)
{
    const struct ArrowArray *c = in->children[column];
    const int32_t *at = (const int32_t *)c->buffers[1] + c->offset + row;
    *bytes = (size_t)(at[1] - at[0]);
    return (const char *)c->buffers[2] + at[0];
}

TRANCHE_HELPER int tranche_is_null(const struct ArrowArray *in, int64_t column, int64_t row)
{
    const struct ArrowArray *c = in->children[column];
    const unsigned char *valid = (const unsigned char *)c->buffers[0];
    row += c->offset;
    return valid && !(valid[row / 8] >> (row % 8) & 1);
}

TRANCHE_HELPER void tranche_schema_release(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        if (s->children[i]->release) s->children[i]->release(s->children[i]);
        free(s->children[i]);
    }
    free((void *)s->children);
    free((void *)s->name);
    s->release = NULL;
}

/* Begins the schema of a result; columns are added one by one. */
TRANCHE_HELPER void tranche_schema_begin(struct ArrowSchema *out)
{
    memset(out, 0, sizeof *out);
    out->format = "+s";
    out->release = tranche_schema_release;
}

/* `format` must be a string constant. Not 0: out of memory. */
TRANCHE_HELPER int tranche_schema_add(struct ArrowSchema *out, const char *name,
                                      const char *format)
{
    size_t n = (size_t)out->n_children;
    struct ArrowSchema **list =
        (struct ArrowSchema **)realloc((void *)out->children, (n + 1) * sizeof *list);
    if (list) out->children = list;
    struct ArrowSchema *c = list ? (struct ArrowSchema *)calloc(1, sizeof *c) : NULL;
    char *copy = c ? (char *)malloc(strlen(name) + 1) : NULL;
    if (!copy) {
        free(c);
        return 1;
    }
    strcpy(copy, name);
    c->format = format;
    c->name = copy;
    c->flags = ARROW_FLAG_NULLABLE;
    c->release = tranche_schema_release;
    list[out->n_children++] = c;
    return 0;
}

TRANCHE_HELPER void tranche_array_release(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++) {
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
        free(a->children[i]);
    }
    for (int64_t i = 0; i < a->n_buffers; i++)
        free((void *)a->buffers[i]);
    free((void *)a->children);
    free((void *)a->buffers);
    a->release = NULL;
}

/* Begins a result of so many rows; columns are added one by one. Not 0: out of memory. */
TRANCHE_HELPER int tranche_array_begin(struct ArrowArray *out, int64_t rows)
{
    memset(out, 0, sizeof *out);
    out->buffers = (const void **)calloc(1, sizeof *out->buffers);
    if (!out->buffers) return 1;
    out->length = rows;
    out->n_buffers = 1;
    out->release = tranche_array_release;
    return 0;
}

/* A column with an empty place for each of its buffers; NULL: out of memory. */
TRANCHE_HELPER struct ArrowArray *tranche_array_column(struct ArrowArray *out,
                                                       int n_buffers)
{
    size_t n = (size_t)out->n_children;
    struct ArrowArray **list =
        (struct ArrowArray **)realloc((void *)out->children, (n + 1) * sizeof *list);
    if (list) out->children = list;
    struct ArrowArray *c = list ? (struct ArrowArray *)calloc(1, sizeof *c) : NULL;
    const void **buffers =
        c ? (const void **)calloc((size_t)n_buffers, sizeof *buffers) : NULL;
    if (!buffers) {
        free(c);
        return NULL;
    }
    c->length = out->length;
    c->n_buffers = n_buffers;
    c->buffers = buffers;
    c->release = tranche_array_release;
    list[out->n_children++] = c;
    return c;
}

/* A column of fixed width without NULL, to be filled: 8 bytes a value for l and g.
 * NULL: out of memory. */
TRANCHE_HELPER void *tranche_array_add(struct ArrowArray *out, size_t bytes_per_value)
{
    struct ArrowArray *c = tranche_array_column(out, 2);
    size_t n = (size_t)out->length * bytes_per_value;
    if (c) c->buffers[1] = calloc(1, n ? n : 1);
    return c ? (void *)c->buffers[1] : NULL;
}

/* A column of text (u) without NULL, which takes over two blocks of malloc: rows + 1
 * offsets and the bytes. Not 0: out of memory; the blocks are freed. */
TRANCHE_HELPER int tranche_array_add_text(struct ArrowArray *out, int32_t *offsets,
                                          char *bytes)
{
    struct ArrowArray *c = tranche_array_column(out, 3);
    if (!c) {
        free(offsets);
        free(bytes);
        return 1;
    }
    c->buffers[1] = offsets;
    c->buffers[2] = bytes;
    return 0;
}

/* Moves a column that came in to the result, as it is. Not 0: out of memory. */
TRANCHE_HELPER int tranche_array_move(struct ArrowArray *out, struct ArrowArray *in,
                                      int64_t column)
{
    struct ArrowArray *c = tranche_array_column(out, 1);
    if (!c) return 1;
    free((void *)c->buffers);
    *c = *in->children[column];
    in->children[column]->release = NULL;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif

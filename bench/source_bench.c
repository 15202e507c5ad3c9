// CPU milliseconds of what a run does with its input before any worker sees it.
//
//   source_bench TARGET_BYTES FILE...

#include "common/clock.h"
#include "coordinator/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 9 };

struct took { // the best of all rounds
    ns_t open, infer, cut;
    uint64_t chunks, records, bytes, estimate;
};

static void best(ns_t *to, ns_t since)
{
    ns_t now = clock_cpu_ns();
    if (*to == 0 || now - since < *to) *to = now - since;
}

static err_t cut_all(struct source *s, uint64_t target_bytes, struct took *t, struct err *e)
{
    _Atomic uint64_t target = target_bytes;
    t->chunks = t->records = t->bytes = 0;
    for (;;) {
        struct chunk_data *out, *bad;
        err_t rc = source_next(s, &target, &out, &bad, e);
        if (rc == ERR_PARSE)
            out = bad;
        else if (rc != ERR_OK || !out)
            return rc;
        t->chunks++;
        t->records += out->records;
        t->bytes += out->range.end - out->range.begin;
        chunk_data_free(&out);
    }
}

static err_t run_once(const struct job *j, uint64_t target, struct took *t, struct err *e)
{
    struct source *s;
    struct schema schema = { 0 };
    struct buf trial = { 0 };
    ns_t since = clock_cpu_ns();
    TRY(source_open(&s, j, e));
    best(&t->open, since);
    since = clock_cpu_ns();
    err_t rc = source_infer(s, j, &schema, &trial, &t->estimate, e);
    best(&t->infer, since);
    since = clock_cpu_ns();
    if (rc == ERR_OK) rc = cut_all(s, target, t, e);
    best(&t->cut, since);
    schema_free(&schema);
    buf_free(&trial);
    source_close(&s);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e;
    struct job j;
    struct took t = { 0 };
    if (argc < 3) {
        fprintf(stderr, "usage: source_bench TARGET_BYTES FILE...\n");
        return 2;
    }
    job_init(&j);
    j.source = SOURCE_CSV;
    err_t rc = ERR_OK;
    for (int i = 2; i < argc && rc == ERR_OK; i++) {
        rc = strings_add(&j.files, argv[i], strlen(argv[i]), &e);
        if (rc == ERR_OK) rc = strings_add(&j.file_paths, argv[i], strlen(argv[i]), &e);
    }
    for (int k = 0; k < ROUNDS && rc == ERR_OK; k++)
        rc = run_once(&j, strtoull(argv[1], NULL, 10), &t, &e);
    job_free(&j);
    if (rc != ERR_OK) {
        fprintf(stderr, "source_bench: %s\n", e.text);
        return 1;
    }
    printf("open %.2f ms, infer %.2f ms (%llu rows estimated)\n", (double)t.open / 1e6,
           (double)t.infer / 1e6, (unsigned long long)t.estimate);
    printf("cut %llu chunks, %llu records, %.1f MB in %.1f ms: %.2f GB/s\n",
           (unsigned long long)t.chunks, (unsigned long long)t.records,
           (double)t.bytes / 1e6, (double)t.cut / 1e6, (double)t.bytes / (double)t.cut);
    return 0;
}

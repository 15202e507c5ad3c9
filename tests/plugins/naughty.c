// A plugin that passes one column of integers on, and misbehaves as `args: what` says: on
// the batch that holds the row `args: at`, or on every batch without it.

#include "worker/plugin.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#ifndef ABI
#define ABI TRANCHE_PLUGIN_ABI
#endif

struct naughty {
    const char *what;
    int64_t at;
    double ms;
    int64_t company;
    struct ArrowArray kept;
};

static int is(const struct naughty *n, const char *what)
{
    return strcmp(n->what, what) == 0;
}

static void crash(void)
{
    static volatile int *volatile nowhere = (volatile int *)8;
    *nowhere = 1;
}

// Waits until so many batches of this process are here at the same time, or a minute.
static int64_t wait_for_company(int64_t wanted)
{
    static int64_t here, most;
    int64_t n = __atomic_add_fetch(&here, 1, __ATOMIC_SEQ_CST);
    for (int ms = 0; ms < 60000; ms++) {
        int64_t now = __atomic_load_n(&here, __ATOMIC_SEQ_CST);
        if (now >= wanted) __atomic_store_n(&most, now, __ATOMIC_SEQ_CST);
        n = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
        if (n >= wanted) break;
        usleep(1000);
    }
    __atomic_sub_fetch(&here, 1, __ATOMIC_SEQ_CST);
    return n;
}

static void *spin(void *arg)
{
    for (;;)
        usleep(1000);
    return arg;
}

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct naughty *n = (struct naughty *)calloc(1, sizeof *n);
    pthread_t thread;
    if (!n) return tranche_fail(e, "out of memory");
    n->what = tranche_arg(job, "what", "");
    n->at = atoll(tranche_arg(job, "at", "-1"));
    n->ms = atof(tranche_arg(job, "ms", "0"));
    n->company = atoll(tranche_arg(job, "company", "0"));
    *state = n;
    if (is(n, "crash in init")) crash();
    if (is(n, "exit in init")) exit(3);
    if (is(n, "fail in init")) return tranche_fail(e, "not today");
    if (is(n, "thread")) pthread_create(&thread, NULL, spin, NULL);
    if (is(n, "param")) { // what the run read from the warehouse
        const struct tranche_param *p = job->n_params ? &job->params[0] : NULL;
        if (!p || strcmp(p->name, "mean") != 0 || p->kind != TRANCHE_REAL || p->real != 2.5)
            return tranche_fail(e, "the param is not what it should be");
    }
    return 0;
}

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    struct naughty *n = (struct naughty *)state;
    int64_t i = tranche_column(in, "i");
    if (i < 0) return tranche_fail(e, "there is no column i");
    if (is(n, "crash in bind")) crash();
    if (is(n, "fail in bind")) return 1;
    if (is(n, "no schema")) return 0;
    for (int64_t k = 0; k < in->n_children; k++)
        reads[k] = k == i;
    tranche_schema_begin(out);
    const char *format = is(n, "nested") ? "+l" : is(n, "offsets") ? "u" : "l";
    return tranche_schema_add(out, "i", format);
}

static int holds(const struct naughty *n, const int64_t *v, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        if (v[r] == n->at) return 1;
    return n->at < 0;
}

static int bad_offsets(struct ArrowArray *in, struct ArrowArray *out)
{
    int32_t *off = (int32_t *)calloc((size_t)in->length + 1, sizeof *off);
    off[in->length] = -5;
    return tranche_array_begin(out, in->length) ||
           tranche_array_add_text(out, off, (char *)malloc(1));
}

static int misbehave(struct naughty *n, struct ArrowArray *in, struct ArrowArray *out,
                     struct tranche_error *e)
{
    if (is(n, "crash")) crash();
    if (is(n, "abort")) abort();
    if (is(n, "exit")) exit(3);
    if (is(n, "hang"))
        for (;;)
            usleep(1000);
    if (is(n, "fail")) return tranche_fail(e, "this row is unlucky");
    if (is(n, "fail in silence")) return 1;
    if (is(n, "no array")) return 0;
    if (is(n, "offsets")) return bad_offsets(in, out);
    if (is(n, "length")) return tranche_array_begin(out, -1);
    if (is(n, "columns")) return tranche_array_begin(out, in->length);
    if (is(n, "loud")) printf("%0100000d\n", 7), fflush(stdout);
    if (is(n, "keep")) {
        n->kept = *in->children[0];
        in->children[0]->release = NULL;
    }
    return -1;
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    struct naughty *n = (struct naughty *)state;
    const int64_t *v = tranche_int64s(in, 0);
    usleep((useconds_t)(n->ms * 1000));
    if (holds(n, v, in->length)) {
        int rc = misbehave(n, in, out, e);
        if (rc >= 0) return rc;
    }
    if (tranche_array_begin(out, in->length)) return 1;
    int64_t *to = (int64_t *)tranche_array_add(out, sizeof *to);
    if (!to) return 1;
    memcpy(to, v, (size_t)in->length * sizeof *to);
    if (is(n, "company") && in->length) to[0] = wait_for_company(n->company);
    if (is(n, "one row too few") && in->length) out->children[0]->length--;
    return 0;
}

static void close_naughty(void *state)
{
    free(state);
}

#ifdef NO_ENTRY
#define ENTRY another_name
const struct tranche_plugin *another_name(uint32_t abi);
#else
#define ENTRY tranche_plugin
#endif

const struct tranche_plugin *ENTRY(uint32_t abi)
{
    static const struct tranche_plugin table = {
        ABI, sizeof(struct tranche_plugin), "naughty", init, bind, apply, close_naughty
    };
#ifdef NO_TABLE
    return abi == 99 ? &table : NULL;
#else
    (void)abi;
    return &table;
#endif
}

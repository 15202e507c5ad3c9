#include "coordinator/feeder.h"

#include <pthread.h>
#include <stdlib.h>

enum { // cut but not yet wanted
    AHEAD = 512,
    AHEAD_BYTES = 16 << 20, // by reference too: the next may better have another size
};

struct feeder {
    pthread_t thread;
    bool running;
    struct queue *out;
    struct feed *spare; // to say that there is no memory
    struct source *source;
    const _Atomic uint64_t *target_bytes;
};

void feed_free(struct feed **f)
{
    if (!*f) return;
    chunk_data_free(&(*f)->chunk);
    free(*f);
    *f = NULL;
}

static void cut_one(struct feeder *f, struct feed *x)
{
    struct chunk_data *bad = NULL;
    err_t rc = source_next(f->source, f->target_bytes, &x->chunk, &bad, &x->e);
    if (rc == ERR_OK) {
        x->kind = x->chunk ? FED_CHUNK : FED_END;
    } else if (rc == ERR_PARSE && bad) {
        x->kind = FED_BAD;
        x->chunk = bad;
    } else {
        x->kind = FED_ERROR;
        chunk_data_free(&bad);
    }
}

static size_t weight_of(const struct feeder *f, const struct feed *x)
{
    return x->chunk ? (size_t)source_chunk_bytes(f->source, x->chunk) : 0;
}

static void *feeder_main(void *arg)
{
    struct feeder *f = arg;
    for (;;) {
        struct feed *x = calloc(1, sizeof *x);
        if (x) {
            cut_one(f, x);
        } else { // said with what was put aside for it: a run must never wait for no end
            x = f->spare;
            f->spare = NULL;
            x->kind = FED_ERROR;
            err_set(&x->e, ERR_NOMEM, "out of memory while cutting the input");
        }
        bool more = x->kind == FED_CHUNK || x->kind == FED_BAD;
        if (!queue_push(f->out, x, weight_of(f, x))) {
            feed_free(&x);
            return NULL;
        }
        if (!more) return NULL;
    }
}

err_t feeder_start(struct feeder **out, struct source *s,
                   const _Atomic uint64_t *target_bytes, struct err *e)
{
    *out = NULL;
    struct feeder *f = calloc(1, sizeof *f);
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    f->source = s;
    f->target_bytes = target_bytes;
    f->out = queue_new(AHEAD, AHEAD_BYTES);
    f->spare = calloc(1, sizeof *f->spare);
    bool room = f->out && f->spare && queue_reserve(f->out, AHEAD + 1);
    f->running = room && pthread_create(&f->thread, NULL, feeder_main, f) == 0;
    if (!f->running) {
        feeder_free(&f);
        return err_set(e, ERR_NOMEM, "cannot start the source's thread");
    }
    pthread_setname_np(f->thread, "feeder");
    *out = f;
    return ERR_OK;
}

struct feed *feeder_next(struct feeder *f)
{
    return queue_pop(f->out, 0);
}

int feeder_fd(const struct feeder *f)
{
    return queue_fd(f->out);
}

void feeder_free(struct feeder **ff)
{
    struct feeder *f = *ff;
    if (!f) return;
    if (f->running) {
        queue_close(f->out);
        source_stop(f->source); // it may wait for an input that never comes
        pthread_join(f->thread, NULL);
    }
    struct feed *x;
    while (f->out && (x = queue_pop(f->out, 0)))
        feed_free(&x);
    queue_free(&f->out);
    feed_free(&f->spare);
    free(f);
    *ff = NULL;
}

#include "coordinator/fetch.h"

#include "coordinator/work.h"
#include "proto/pack.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PIECE_TRIES = 3 }; // to read a piece of a file that is touched meanwhile

struct list {
    struct fetched *first, **end;
};

struct fetch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    const struct source *source;
    struct list asked, answered;
    uint64_t out, memory; // bytes of answers that live
    uint32_t refs;        // the owner and every answer
    struct pack_meter meter;
    struct packer *packer; // the thread's
    bool closed;
    int fd; // eventfd: something was answered
};

static void list_add(struct list *l, struct fetched *x)
{
    x->next = NULL;
    *l->end = x;
    l->end = &x->next;
}

static struct fetched *list_take(struct list *l)
{
    struct fetched *x = l->first;
    if (!x) return NULL;
    l->first = x->next;
    if (!l->first) l->end = &l->first;
    return x;
}

static void unref(struct fetch *f) // gives the lock back
{
    bool last = --f->refs == 0;
    pthread_mutex_unlock(&f->lock);
    if (!last) return;
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    packer_free(&f->packer);
    close(f->fd);
    free(f);
}

void fetched_free(struct fetched **xx)
{
    struct fetched *x = *xx;
    if (!x) return;
    struct fetch *f = x->fetch;
    chunk_data_free(&x->data);
    free(x->piece);
    if (x->lent) work_return(NULL, x->lent);
    pthread_mutex_lock(&f->lock);
    f->out -= x->counted;
    pthread_cond_signal(&f->changed);
    free(x);
    unref(f);
    *xx = NULL;
}

static uint64_t bytes_of(const struct fetched *x)
{
    return x->held ? x->held->held : x->file ? x->bytes : x->about;
}

// The next question that there is memory for, waited for; NULL: the end.
static struct fetched *next_question(struct fetch *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->closed &&
           (!f->asked.first || (f->out && f->out + bytes_of(f->asked.first) > f->memory)))
        pthread_cond_wait(&f->changed, &f->lock);
    struct fetched *x = f->closed ? NULL : list_take(&f->asked);
    if (x) {
        x->counted = bytes_of(x);
        f->out += x->counted;
    }
    pthread_mutex_unlock(&f->lock);
    return x;
}

// It counts as what it is, now that this is known.
static void count(struct fetch *f, struct fetched *x, uint64_t bytes)
{
    pthread_mutex_lock(&f->lock);
    f->out += bytes - x->counted;
    x->counted = bytes;
    pthread_mutex_unlock(&f->lock);
}

static err_t read_chunk(struct fetch *f, struct fetched *x)
{
    struct chunk_data *read[2] = { NULL, NULL };
    err_t rc =
        source_reread(f->source, x->range, x->first_line, x->digest, false, read, &x->e);
    x->data = read[0];
    chunk_data_free(&read[1]);
    if (rc != ERR_OK) return rc;
    x->p = x->data->bytes;
    x->n = x->data->held;
    x->digest = x->data->digest;
    count(f, x, x->n);
    return ERR_OK;
}

static err_t read_at(int fd, struct fetched *x)
{
    for (size_t got = 0; got < x->bytes;) {
        ssize_t k = pread(fd, x->piece + got, x->bytes - got, (off_t)(x->at + got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(&x->e, "cannot read %s", x->file->path);
        if (k == 0)
            return err_set(&x->e, ERR_CHANGED, "%s was truncated during the run",
                           x->file->path);
        got += (size_t)k;
    }
    return ERR_OK;
}

// The path is looked at, then what is open, before and after: another file may take its
// place in between, and what is written while it is read moves the stamp.
static err_t try_piece(struct fetched *x, bool *good)
{
    struct file_stamp after;
    int fd;
    *good = false;
    TRY(file_check(x->file, &x->e));
    err_t rc = file_open(x->file, &fd, &x->e);
    if (rc == ERR_CHANGED) return ERR_OK; // since just now: it is looked at again
    TRY(rc);
    rc = read_at(fd, x);
    if (rc == ERR_OK) rc = file_stamp_fd(fd, &after, &x->e);
    *good = rc == ERR_OK && file_same_stamp(&after, &x->file->stamp);
    close(fd);
    return rc;
}

// The digest of the whole is checked by the worker in any case.
static err_t read_piece(struct fetched *x)
{
    bool good = false;
    x->piece = malloc(x->bytes);
    if (!x->piece) return err_set(&x->e, ERR_NOMEM, "out of memory: %s", x->file->name);
    for (int i = 0; i < PIECE_TRIES && !good; i++)
        TRY(try_piece(x, &good));
    if (!good)
        return err_set(&x->e, ERR_CHANGED,
                       "%s is written to or replaced again and again while it is read",
                       x->file->path);
    x->digest = hash_bytes(x->piece, x->bytes);
    x->p = x->piece;
    x->n = x->bytes;
    return ERR_OK;
}

static err_t hold_chunk(struct fetched *x)
{
    x->p = x->held->bytes;
    x->n = x->held->held;
    return ERR_OK;
}

// Without memory it goes as it is.
static void pack(struct fetch *f, struct fetched *x)
{
    ns_t start = clock_ns();
    size_t n = x->n, cap = pack_bound(n);
    if (!f->packer && packer_new(&f->packer, NULL) != ERR_OK) return;
    uint8_t *out = malloc(cap);
    size_t k = out ? pack_bytes(f->packer, x->p, n, out, cap) : 0;
    pthread_mutex_lock(&f->lock);
    if (n >= PACK_MIN) pack_meter_add(&f->meter, n, k ? k : n, clock_ns() - start);
    pthread_mutex_unlock(&f->lock);
    if (k == 0) {
        free(out);
        return;
    }
    chunk_data_free(&x->data);
    free(x->piece);
    if (x->lent) work_return(NULL, x->lent);
    x->lent = NULL;
    uint8_t *fitting = realloc(out, k);
    x->p = x->piece = fitting ? fitting : out;
    x->n = k;
    x->unpacked = n;
    count(f, x, k);
}

static void *fetch_main(void *arg)
{
    struct fetch *f = arg;
    for (struct fetched *x; (x = next_question(f));) {
        x->code = x->held ? hold_chunk(x) : x->file ? read_piece(x) : read_chunk(f, x);
        if (x->code == ERR_OK && x->pack) pack(f, x);
        pthread_mutex_lock(&f->lock);
        list_add(&f->answered, x);
        eventfd_write(f->fd, 1);
        pthread_mutex_unlock(&f->lock);
    }
    return NULL;
}

err_t fetch_start(struct fetch **out, const struct source *s, uint64_t memory_bytes,
                  struct err *e)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    f->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->fd < 0) {
        free(f);
        return err_sys(e, "cannot start the thread that reads for remote workers");
    }
    f->source = s;
    f->memory = memory_bytes;
    f->refs = 1;
    f->asked.end = &f->asked.first;
    f->answered.end = &f->answered.first;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    if (pthread_create(&f->thread, NULL, fetch_main, f) == 0) {
        *out = f;
        return ERR_OK;
    }
    pthread_mutex_lock(&f->lock);
    unref(f);
    return err_set(e, ERR_NOMEM, "cannot start the thread that reads for remote workers");
}

err_t fetch_ask(struct fetch *f, const struct fetched *what, struct err *e)
{
    struct fetched *x = malloc(sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory");
    *x = *what;
    x->fetch = f;
    x->data = NULL;
    x->piece = NULL;
    x->counted = 0;
    pthread_mutex_lock(&f->lock);
    f->refs++;
    list_add(&f->asked, x);
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    return ERR_OK;
}

struct fetched *fetch_next(struct fetch *f)
{
    eventfd_t n;
    pthread_mutex_lock(&f->lock);
    struct fetched *x = list_take(&f->answered);
    if (!x && eventfd_read(f->fd, &n) != 0) n = 0;
    pthread_mutex_unlock(&f->lock);
    return x;
}

void fetch_meter(struct fetch *f, struct pack_meter *out)
{
    pthread_mutex_lock(&f->lock);
    *out = f->meter;
    pthread_mutex_unlock(&f->lock);
}

int fetch_fd(const struct fetch *f)
{
    return f->fd;
}

void fetch_close(struct fetch **ff)
{
    struct fetch *f = *ff;
    struct fetched *x;
    if (!f) return;
    pthread_mutex_lock(&f->lock);
    f->closed = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    while ((x = list_take(&f->asked)) || (x = list_take(&f->answered)))
        fetched_free(&x);
    pthread_mutex_lock(&f->lock);
    unref(f);
    *ff = NULL;
}

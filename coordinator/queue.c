#include "coordinator/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_ROOM = 64 };

struct entry {
    void *object;
    size_t weight;
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    int fd; // its counter is not 0 while there is something to pop
    bool closed;
    unsigned poppers, pushers; // that wait
    size_t cap, cap_weight, weight;
    struct entry *ring;
    size_t room, head, n; // room: a power of two
};

struct queue *queue_new(size_t cap, size_t cap_weight)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q) return NULL;
    q->cap = cap;
    q->cap_weight = cap_weight;
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->fd < 0) {
        free(q);
        return NULL;
    }
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_empty, &a);
    pthread_cond_init(&q->not_full, &a);
    pthread_condattr_destroy(&a);
    return q;
}

void queue_free(struct queue **qq)
{
    struct queue *q = *qq;
    if (!q) return;
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->not_empty);
    pthread_cond_destroy(&q->not_full);
    close(q->fd);
    free(q->ring);
    free(q);
    *qq = NULL;
}

// ---- with the lock held ----

static bool make_room(struct queue *q, size_t more)
{
    size_t room = q->room ? q->room : FIRST_ROOM;
    while (room - q->n < more && room <= SIZE_MAX / sizeof *q->ring / 2)
        room *= 2;
    if (room == q->room) return true;
    if (room - q->n < more) return false;
    struct entry *ring = malloc(room * sizeof *ring);
    if (!ring) return false;
    for (size_t i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->room - 1)];
    free(q->ring);
    q->ring = ring;
    q->room = room;
    q->head = 0;
    return true;
}

static void put(struct queue *q, void *object, size_t weight)
{
    q->ring[(q->head + q->n++) & (q->room - 1)] = (struct entry){ object, weight };
    q->weight += weight;
}

static void tell_poppers(struct queue *q, bool was_empty)
{
    uint64_t one = 1;
    if (was_empty && write(q->fd, &one, sizeof one) < 0) return; // it is set already
    if (q->poppers) pthread_cond_signal(&q->not_empty);
}

static bool is_full(const struct queue *q, size_t weight)
{
    return q->n > 0 && (q->n >= q->cap || q->weight > q->cap_weight ||
                        weight > q->cap_weight - q->weight);
}

static size_t take(struct queue *q, void **out, size_t max)
{
    size_t n = q->n < max ? q->n : max;
    uint64_t count;
    for (size_t i = 0; i < n; i++) {
        const struct entry *x = &q->ring[(q->head + i) & (q->room - 1)];
        out[i] = x->object;
        q->weight -= x->weight;
    }
    if (n == 0) return 0;
    q->head = (q->head + n) & (q->room - 1);
    q->n -= n;
    if (q->n == 0 && read(q->fd, &count, sizeof count) < 0) count = 0; // it was clear
    // Whoever waits is woken for more than a single place.
    if (q->pushers && q->n <= q->cap / 2) pthread_cond_broadcast(&q->not_full);
    return n;
}

// ---- from any thread ----

bool queue_push(struct queue *q, void *object, size_t weight)
{
    pthread_mutex_lock(&q->lock);
    q->pushers++;
    while (is_full(q, weight) && !q->closed)
        pthread_cond_wait(&q->not_full, &q->lock);
    q->pushers--;
    bool ok = !q->closed && make_room(q, 1);
    if (ok) {
        bool was_empty = q->n == 0;
        put(q, object, weight);
        tell_poppers(q, was_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

bool queue_push_all(struct queue *q, void *const *objects, size_t n)
{
    pthread_mutex_lock(&q->lock);
    bool ok = !q->closed && make_room(q, n), was_empty = q->n == 0;
    for (size_t i = 0; i < n && ok; i++)
        put(q, objects[i], 0);
    if (ok && n) tell_poppers(q, was_empty);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

bool queue_reserve(struct queue *q, size_t n)
{
    pthread_mutex_lock(&q->lock);
    bool ok = n <= q->n || make_room(q, n - q->n);
    pthread_mutex_unlock(&q->lock);
    return ok;
}

size_t queue_pop_some(struct queue *q, void **out, size_t max, ns_t wait)
{
    pthread_mutex_lock(&q->lock);
    if (q->n == 0 && wait > 0) {
        ns_t until = clock_ns() + wait;
        struct timespec t = { until / NS_S, until % NS_S };
        q->poppers++;
        while (q->n == 0 && !q->closed &&
               pthread_cond_timedwait(&q->not_empty, &q->lock, &t) != ETIMEDOUT) {
        }
        q->poppers--;
    }
    size_t n = take(q, out, max);
    pthread_mutex_unlock(&q->lock);
    return n;
}

void *queue_pop(struct queue *q, ns_t wait)
{
    void *object;
    return queue_pop_some(q, &object, 1, wait) ? object : NULL;
}

size_t queue_length(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->n;
    pthread_mutex_unlock(&q->lock);
    return n;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}

bool queue_closed(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

int queue_fd(const struct queue *q)
{
    return q->fd;
}

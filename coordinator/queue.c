#include "coordinator/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    int fd; // its counter is not 0 while there is something to pop
    bool closed;
    size_t cap, head, n;
    void *ring[];
};

struct queue *queue_new(size_t cap)
{
    struct queue *q = calloc(1, sizeof *q + cap * sizeof q->ring[0]);
    if (!q) return NULL;
    q->cap = cap;
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
    free(q);
    *qq = NULL;
}

bool queue_push(struct queue *q, void *object)
{
    pthread_mutex_lock(&q->lock);
    while (q->n == q->cap && !q->closed)
        pthread_cond_wait(&q->not_full, &q->lock);
    bool ok = !q->closed;
    if (ok) {
        q->ring[(q->head + q->n) % q->cap] = object;
        uint64_t one = 1;
        if (q->n++ == 0 && write(q->fd, &one, sizeof one) < 0) ok = true; // counter is set
        pthread_cond_signal(&q->not_empty);
    }
    pthread_mutex_unlock(&q->lock);
    return ok;
}

static void *pop(struct queue *q)
{
    if (q->n == 0) return NULL;
    void *object = q->ring[q->head];
    q->head = (q->head + 1) % q->cap;
    uint64_t count;
    if (--q->n == 0 && read(q->fd, &count, sizeof count) < 0) count = 0; // it was clear
    pthread_cond_signal(&q->not_full);
    return object;
}

void *queue_pop(struct queue *q, ns_t wait)
{
    pthread_mutex_lock(&q->lock);
    if (q->n == 0 && wait > 0) {
        ns_t until = clock_ns() + wait;
        struct timespec t = { until / NS_S, until % NS_S };
        while (q->n == 0 && !q->closed &&
               pthread_cond_timedwait(&q->not_empty, &q->lock, &t) != ETIMEDOUT) {
        }
    }
    void *object = pop(q);
    pthread_mutex_unlock(&q->lock);
    return object;
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

// queue - hands whole owned objects from one thread to another, in order.

#ifndef COORDINATOR_QUEUE_H
#define COORDINATOR_QUEUE_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct queue;

struct queue *queue_new(size_t cap); // NULL: out of memory or descriptors
void queue_free(struct queue **q);   // what is still in it is the caller's to drain before

// Waits while the queue is full. False: it is closed, the object is still yours.
bool queue_push(struct queue *q, void *object);
// Waits up to `wait` for an object; NULL: none came, or it is closed and empty.
void *queue_pop(struct queue *q, ns_t wait);
size_t queue_length(struct queue *q);
void queue_close(struct queue *q);   // pushes fail from now on, pops empty what is there
int queue_fd(const struct queue *q); // readable while something is in it
bool queue_closed(struct queue *q);

#endif

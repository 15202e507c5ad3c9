// queue - hands whole owned objects from one thread to another, in order.

#ifndef COORDINATOR_QUEUE_H
#define COORDINATOR_QUEUE_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

#define QUEUE_ANY SIZE_MAX // no limit but memory
// Holds at most `cap` objects whose weights sum up to at most `cap_weight`; one always
// finds room in an empty queue. NULL: out of memory or descriptors.
struct queue *queue_new(size_t cap, size_t cap_weight);
void queue_free(struct queue **q); // what is still in it is the caller's to drain before

// Waits while the queue is full. False: it is closed, or memory is out; the object is still
// yours.
bool queue_push(struct queue *q, void *object, size_t weight);
// Room for `n` objects in all: pushes up to there find memory. False: out of memory.
bool queue_reserve(struct queue *q, size_t n);
// Never waits, and takes no heed of the limits: all `n`, or (false) none.
bool queue_push_all(struct queue *q, void *const *objects, size_t n);
// Waits up to `wait` for an object; NULL: none came, or it is closed and empty.
void *queue_pop(struct queue *q, ns_t wait);
// Takes up to `max` of those that are there, after waiting for the first as queue_pop does.
size_t queue_pop_some(struct queue *q, void **out, size_t max, ns_t wait);
size_t queue_length(struct queue *q);
void queue_close(struct queue *q);   // pushes fail from now on, pops empty what is there
int queue_fd(const struct queue *q); // readable while something is in it
bool queue_closed(struct queue *q);

#endif

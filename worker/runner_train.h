// runner_train - small chunks that came together, one after the other.

#ifndef WORKER_RUNNER_TRAIN_H
#define WORKER_RUNNER_TRAIN_H

#include "worker/runner_lane.h"

// What they have in common stands in l->task. Says how each of them ended, several at a
// time, and says so at least twice a millisecond as long as they end.
void runner_train(struct runner_lane *l, const struct runner_wagon *w, uint32_t n);

#endif

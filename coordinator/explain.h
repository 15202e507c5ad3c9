// explain - `tranche explain`: the life of a run, or of one of its chunks.

#ifndef COORDINATOR_EXPLAIN_H
#define COORDINATOR_EXPLAIN_H

#include "coordinator/past.h"

#include <stdio.h>

void explain_run(const struct past *p, FILE *out);
void explain_chunk(const struct past *p, const struct past_chunk *c,
                   const struct past_rows *rows, FILE *out);
// One JSON object on a line.
void explain_run_json(const struct past *p, FILE *out);
void explain_chunk_json(const struct past *p, const struct past_chunk *c,
                        const struct past_rows *rows, FILE *out);

#endif

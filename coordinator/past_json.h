// past_json - a remembered run for programs: the parts that explain and report share.

#ifndef COORDINATOR_PAST_JSON_H
#define COORDINATOR_PAST_JSON_H

#include "coordinator/past.h"
#include "coordinator/report.h"

#include <stdio.h>

void past_json_number(const char *key, uint64_t n, FILE *out); // ,"key":n
void past_json_text(const char *key, const char *s, FILE *out);
// Members of an object: run, status, rows, times, workers.
void past_json_run(const struct past *p, FILE *out);
void past_json_totals(const struct past *p, FILE *out); // ... without the workers
// ... what was counted alone: rows, chunks, retries, bytes
void past_json_counts(const struct journal_run *r, FILE *out);
void past_json_worker(const struct journal_worker *w, FILE *out);
// Elements of a list:
void past_json_samples(const struct past *p, FILE *out);
void past_json_chunks(const struct past *p, const struct past_chunk *c, uint32_t n,
                      FILE *out);
void past_json_reasons(const struct past *p, FILE *out);
void past_json_chunk(const struct past *p, const struct past_chunk *c, FILE *out);
void past_json_events(const struct past *p, FILE *out); // elements of a list
void past_json_rows(const struct past_rows *r, FILE *out);
// null: it was not asked; "" : it had the result; else why not.
void past_json_cached(const struct past *p, struct range r, FILE *out);

#endif

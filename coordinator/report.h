// report - what a run says at its end: the balance sheet for people, one JSON line for
// programs.

#ifndef COORDINATOR_REPORT_H
#define COORDINATOR_REPORT_H

#include "coordinator/app.h"
#include "coordinator/journal_plan.h"

#include <stdio.h>

struct report {
    const struct job *job;
    const char *run;    // id
    const char *status; // "loaded", "loaded with rejects", "limit passed", "failed", ...
    const char *error;  // the sentence, or ""
    const struct app_totals *run_totals;
    const struct source_input *inputs;
    uint32_t n_inputs;
    const struct load_merge *merge;    // NULL: the rows are the table
    const struct ledger_row *by_input; // of the whole load, proven by the warehouse; NULL:
                                       // the run did not get so far
    const struct journal_plan *plan;   // what was planned of this job; NULL: nothing
    bool resumed, nothing_new, balanced;
    double seconds, coordinator_cpu_seconds;
};

struct balance { // sums of by_input
    uint64_t read, parsed, rejected, emitted, loaded, refused, misfits;
    uint64_t replaced, skipped; // see struct ledger_row
};
void report_sum(const struct ledger_row *by_input, uint32_t n, struct balance *b);
// rows read = parsed + rejected and emitted = loaded + refused, for each input.
bool report_balances(const struct ledger_row *by_input, uint32_t n);

void report_human(const struct report *r, FILE *out);
void report_json(const struct report *r, FILE *out);    // one line
void json_string(const char *s, FILE *out);             // quoted and escaped
void json_string_n(const void *p, size_t n, FILE *out); // of any bytes

#endif

// words - reads the words of the commands that have no job: flags, of which the
// last one counts when it stands there twice, and operands between them.

#ifndef COORDINATOR_WORDS_H
#define COORDINATOR_WORDS_H

#include "common/job.h"

#include <stdbool.h>
#include <stdio.h>

struct word {
    const char *flag;  // "--state"; NULL ends the list
    const char **text; // gets what stands behind it, or behind its '='; NULL: a switch
    bool *on;          // of a switch
};

struct words {
    const char *command;    // "jobs"
    const struct word *all; // ends with a NULL
    const char **operand; // gets the others, at most n_operands; the rest stay as they are
    int n_operands;
    struct strings *rest; // NULL; or gets unknown flags and operands, as they stand
    FILE *complain;
};

// -1: go on. Else the exit code, and what is wrong was said.
int words_read(const struct words *w, int argc, char **argv); // argv[0] is the command
// "tranche: jobs: SENTENCE; see 'tranche jobs --help'", and its exit code.
int words_wrong(const struct words *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool words_want_help(int argc, char **argv);

// `text` as a number from `least` to `most`; as what --output takes. False: it was said.
bool words_number(const struct words *w, const char *what, const char *text, uint64_t least,
                  uint64_t most, uint64_t *out);
bool words_output(const struct words *w, const char *text, enum job_output *out);

// $TRANCHE_HOME, or .tranche here.
const char *words_state(void);

#endif

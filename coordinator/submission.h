// submission - a job as it is handed to a server: the words of its command line, the folder
// they were typed in, and the text of its job file at that moment.
//
// As bytes (payload of SUBMIT, column `spec` of the table `jobs`): four bytes with the
// number of texts, then each of them, its length in four bytes before it, little-endian:
// the folder, the job file as it is spelled among the words ("" when there is none), its
// text, the words.

#ifndef COORDINATOR_SUBMISSION_H
#define COORDINATOR_SUBMISSION_H

#include "common/buf.h"
#include "common/job_lists.h"
#include "coordinator/cli.h"

#include <stdbool.h>

enum {
    SUBMISSION_MAX_BYTES = 4 << 20,
    SUBMISSION_WORDS_MAX = 4096,
    SUBMISSION_PATH_MAX = 4096, // with its NUL
};

struct submission { // zero-initialised is a valid empty one
    char *folder;   // absolute
    char *file;     // NULL: all of the job stands in the words
    struct buf text;
    struct strings words; // what stands behind `tranche run`
};

void submission_free(struct submission *s); // leaves a valid empty one

// Appends it to `out`. ERR_TOOBIG.
MUST_CHECK err_t submission_encode(const struct submission *s, struct buf *out,
                                   struct err *e);
// Hostile bytes: ERR_PROTO says what is wrong. *out is the caller's to free in any case.
MUST_CHECK err_t submission_decode(struct submission *out, const void *p, size_t n,
                                   struct err *e);

// Reads the job. The current folder is to be the submission's. As cli_parse_to of `tranche
// run WORDS`, with the text in place of the job file; `more`, NULL-terminated, are further
// words, and may be NULL. `s` and `more` outlive *out. 130 and nothing said: no memory.
int submission_read(const struct submission *s, char *const *more, struct cli *out,
                    FILE *say, FILE *complain);
// Whether a server can run the job, in the current folder: it has no terminal to read from
// or to write to, it has the port for workers, and the input is here. ERR_INVALID.
MUST_CHECK err_t submission_fits(const struct submission *s, const struct cli *c,
                                 struct err *e);
// Appends what the job writes to, a line for each load: two jobs that share one cannot run
// at the same time.
MUST_CHECK err_t submission_loads(const struct cli *c, struct buf *out, struct err *e);

#endif

// help_man - manual pages, as man(7) writes them, from what --help says and from the table
// of options.

#ifndef COMMON_HELP_MAN_H
#define COMMON_HELP_MAN_H

#include "common/help_text.h"

struct help_command {
    const char *name; // "run"
    struct help_text help;
};

// tranche(1): the overview, then each command. A flag that means the same in several of
// them is explained once.
MUST_CHECK err_t help_man_tranche(struct buf *out, const struct help_text *overview,
                                  const struct help_command *v, size_t n, struct err *e);
// tranche-worker(1)
MUST_CHECK err_t help_man_worker(struct buf *out, const struct help_text *help,
                                 struct err *e);
// tranche-job(5)
MUST_CHECK err_t help_man_job(struct buf *out, struct err *e);

#endif

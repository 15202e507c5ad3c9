// seen - a set of names: which ends of workers were told already.

#ifndef COORDINATOR_SEEN_H
#define COORDINATOR_SEEN_H

#include "common/err.h"

#include <stdbool.h>

struct seen_name;
struct seen { // zero-initialised is a valid empty set
    struct seen_name *names;
};

// *is_new: it was not in the set.
MUST_CHECK err_t seen_add(struct seen *s, const char *name, bool *is_new, struct err *e);
void seen_drop(struct seen *s, const char *name); // harmless when it is not there
void seen_free(struct seen *s);                   // leaves a valid empty set

#endif

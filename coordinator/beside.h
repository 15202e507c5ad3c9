// beside - the files that go with a program: what the patterns under `files:` stand for.

#ifndef COORDINATOR_BESIDE_H
#define COORDINATOR_BESIDE_H

#include "proto/spec.h"

// Adds the files of step->with, and those of its arguments that stand below its folder, to
// the spec's and gives each its place. A folder stands for all plain files below it but
// __pycache__ and what begins with a dot. ERR_INVALID: a pattern without a match, a path
// that cannot be read; ERR_TOOBIG: more files than a job may have.
MUST_CHECK err_t beside_add(struct spec *spec, struct step *s, struct err *e);

#endif

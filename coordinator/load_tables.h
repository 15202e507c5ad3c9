// load_tables - the lookup tables of a job as a warehouse's merge.sql has them: in memory,
// also those that travel as files.

#ifndef COORDINATOR_LOAD_TABLES_H
#define COORDINATOR_LOAD_TABLES_H

#include "proto/spec.h"

// A spec whose tables all have their records; everything else is borrowed from `of`. To be
// freed in any case. ERR_CHANGED, ERR_IO: a file is not what it was, or cannot be read.
MUST_CHECK err_t load_tables_read(const struct spec *of, struct spec *out, struct err *e);
void load_tables_free(const struct spec *of, struct spec *s);

#endif

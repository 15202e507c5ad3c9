// near_file - "did you mean" for the name of a job file that is not there.

#ifndef COMMON_NEAR_FILE_H
#define COMMON_NEAR_FILE_H

#include <stdbool.h>
#include <stddef.h>

// The job file (.yaml, .yml) of the folder of `path` whose name is nearest, also when only
// that ending is missing: as it is to be typed, "examples/late-flights.yaml". False: none
// is near, or the folder cannot be read.
bool near_file(const char *path, char *out, size_t size);

#endif

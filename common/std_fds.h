// std_fds - descriptors 0, 1 and 2 are always taken.
//
// A program may be started with one of them closed. What it opens first would get the
// number, and be read as its input, or get its report written into it.

#ifndef COMMON_STD_FDS_H
#define COMMON_STD_FDS_H

#include <stdbool.h>

// First thing in main(). A closed one becomes /dev/null, opened the wrong way round, so
// that using it is an error. False: it cannot be done.
bool std_fds_keep(void);

#endif

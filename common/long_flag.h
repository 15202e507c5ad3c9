// long_flag - flags are written out. getopt_long also takes their beginnings, as long as
// only one flag begins so: a script that has one means another flag, or none, with a later
// version.

#ifndef COMMON_LONG_FLAG_H
#define COMMON_LONG_FLAG_H

#include <getopt.h>

// The name of the flag of which getopt_long has just taken the beginning; NULL: it was
// written out, or a letter. `value` is what getopt_long returned, which names one of
// `longs`.
const char *long_flag_cut_short(char *const *argv, const struct option *longs, int value);

// For a sentence: "'--sche' is cut short: write --schedule", with both names as arguments.
#define LONG_FLAG_SENTENCE "%s is cut short: write --%s"

#endif

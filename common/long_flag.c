#include "common/long_flag.h"

#include <string.h>

const char *long_flag_cut_short(char *const *argv, const struct option *longs, int value)
{
    while (longs->name && longs->val != value)
        longs++;
    if (!longs->name) return NULL;
    // A value of its own stands behind the flag, also where operands were moved.
    const char *arg = argv[optind - (optarg && optarg == argv[optind - 1] ? 2 : 1)];
    if (strncmp(arg, "--", 2) != 0) return NULL;
    return strcspn(arg + 2, "=") < strlen(longs->name) ? longs->name : NULL;
}

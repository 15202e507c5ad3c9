// folder - a folder for one test, below /tmp, removed with all that is in it.

#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TEST_FOLDER = 64 };

// cmocka's setup and teardown give these values back: 0 when it went well.
static inline int folder_make(char path[TEST_FOLDER], const char *name)
{
    snprintf(path, TEST_FOLDER, "/tmp/%s_XXXXXX", name);
    return mkdtemp(path) ? 0 : -1;
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static inline int folder_remove(const char *path)
{
    return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif

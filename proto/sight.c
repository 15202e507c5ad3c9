#include "proto/sight.h"

#include <sys/stat.h>
#include <unistd.h>

unsigned sight_look(const char *path, const struct sight_file *want, struct sight_file *own)
{
    struct stat st;
    *own = (struct sight_file){ 0 };
    if (path[0] != '/' || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        access(path, R_OK) != 0)
        return SIGHT_NONE;
    *own = (struct sight_file){
        .dev = (uint64_t)st.st_dev,
        .ino = (uint64_t)st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime_ns =
            (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec,
    };
    unsigned same = own->dev == want->dev && own->ino == want->ino ? SIGHT_INODE : 0;
    if (own->size == want->size && own->mtime_ns == want->mtime_ns) same |= SIGHT_SHARED;
    return same;
}

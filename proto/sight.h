// sight - does a worker see the coordinator's file?
//
// On the same host (boot id) a path that leads to the same device and inode does. On
// another one a shared file system is known by path, size and time of the last change; what
// is read there must have the digest of the chunk all the same, or its bytes are sent.

#ifndef PROTO_SIGHT_H
#define PROTO_SIGHT_H

#include <stdint.h>

enum sight { // bits of READY.sees
    SIGHT_NONE = 0,
    SIGHT_INODE = 1,  // device and inode are the same
    SIGHT_SHARED = 2, // size and time of the last change are
};

struct sight_file {
    uint64_t dev, ino, size, mtime_ns;
};

// What this process sees at an absolute path that it can read; 0: nothing of that. *own:
// what is there.
unsigned sight_look(const char *path, const struct sight_file *want,
                    struct sight_file *own);

#endif

#include "common/rmtree.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 100 };

static void below(int dir, int depth)
{
    DIR *d = depth < DEEPEST ? fdopendir(dup(dir)) : NULL;
    if (!d) return;
    rewinddir(d);
    for (struct dirent *x; (x = readdir(d));) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
        if (unlinkat(dir, x->d_name, 0) == 0) continue;
        if (fchmodat(dir, x->d_name, 0700, 0)) continue;
        int sub = openat(dir, x->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0) {
            below(sub, depth + 1);
            close(sub);
        }
        unlinkat(dir, x->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}

void rmtree_below(int dir)
{
    below(dir, 0);
}

void rmtree(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    if (fchmod(fd, 0700) == 0) below(fd, 0);
    close(fd);
    rmdir(path);
}

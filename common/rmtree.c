#include "common/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 100 };

// Whose permissions keep us out is let in first. A name may be a link by now: what it leads
// to keeps its permissions.
static int open_folder(int dir, const char *name)
{
    enum { HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    int fd = openat(dir, name, HOW);
    if (fd >= 0) {
        (void)fchmod(fd, 0700);
        return fd;
    }
    if (errno != EACCES || fchmodat(dir, name, 0700, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    return openat(dir, name, HOW);
}

static void below(int dir, int depth)
{
    DIR *d = depth < DEEPEST ? fdopendir(dup(dir)) : NULL;
    if (!d) return;
    rewinddir(d);
    for (struct dirent *x; (x = readdir(d));) {
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
        if (unlinkat(dir, x->d_name, 0) == 0) continue;
        int sub = open_folder(dir, x->d_name);
        if (sub < 0) continue;
        below(sub, depth + 1);
        close(sub);
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

#include "common/scratch.h"

#include "common/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "tranche-scratch-"
#define MAKING PREFIX "new-"
enum { MAKING_SECONDS = 60 };

static const char *tmp_folder(void)
{
    const char *t = getenv("TMPDIR");
    return t && t[0] == '/' && strlen(t) < 3000 ? t : "/tmp";
}

// Folders get their name when they are locked; one that is being made is given a minute.
static bool is_dead(const char *path, bool made)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    bool dead =
        flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        (made || (fstat(fd, &st) == 0 && time(NULL) - st.st_mtime > MAKING_SECONDS));
    close(fd);
    return dead;
}

static void sweep(const char *tmp)
{
    DIR *d = opendir(tmp);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        struct stat st;
        char path[4096];
        if (strncmp(x->d_name, PREFIX, strlen(PREFIX)) != 0) continue;
        if (fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
            continue;
        if (snprintf(path, sizeof path, "%s/%s", tmp, x->d_name) < (int)sizeof path &&
            is_dead(path, strncmp(x->d_name, MAKING, strlen(MAKING)) != 0))
            rmtree(path);
    }
    closedir(d);
}

void scratch_sweep(void)
{
    sweep(tmp_folder());
}

err_t scratch_open(struct scratch *s, struct err *e)
{
    char making[sizeof s->dir];
    const char *tmp = tmp_folder();
    *s = (struct scratch){ .lock = -1 };
    sweep(tmp);
    snprintf(making, sizeof making, "%s/" MAKING "XXXXXX", tmp);
    if (!mkdtemp(making)) return err_sys(e, "cannot make a scratch folder in %s", tmp);
    memcpy(s->dir, making, sizeof s->dir);
    s->lock = open(making, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock >= 0 && flock(s->lock, LOCK_EX | LOCK_NB) == 0) {
        snprintf(s->dir, sizeof s->dir, "%s/" PREFIX "%s", tmp, strrchr(making, '-') + 1);
        snprintf(s->room, sizeof s->room, "%s/room", s->dir);
        if (rename(making, s->dir) == 0 && mkdir(s->room, 0700) == 0) return ERR_OK;
    }
    err_sys(e, "cannot make a scratch folder in %s", tmp);
    rmtree(making);
    scratch_close(s);
    return ERR_IO;
}

err_t scratch_empty(struct scratch *s, struct err *e)
{
    int fd = open(s->room, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0700)) {
        err_sys(e, "cannot empty the scratch folder %s", s->room);
        if (fd >= 0) close(fd);
        return ERR_IO;
    }
    rmtree_below(fd);
    close(fd);
    return ERR_OK;
}

void scratch_close(struct scratch *s)
{
    if (s->dir[0]) rmtree(s->dir);
    if (s->lock >= 0) close(s->lock);
    *s = (struct scratch){ .lock = -1 };
}

#include "common/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err_t fail(struct err *e, const char *path)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(e, ERR_FULL, "cannot write %s: no space is left on this disk", path);
    return err_sys(e, "cannot write %s", path);
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return -1;
        p += k;
        n -= (size_t)k;
    }
    return fsync(fd);
}

static err_t write_beside(const char *fresh, const char *path, const void *p, size_t n,
                          struct err *e)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) return fail(e, path);
    err_t rc = write_all(fd, p, n) == 0 ? ERR_OK : fail(e, path);
    if (close(fd) != 0 && rc == ERR_OK) rc = fail(e, path);
    if (rc == ERR_OK && rename(fresh, path) != 0) rc = fail(e, path);
    if (rc != ERR_OK) unlink(fresh);
    return rc;
}

err_t whole_file_write(const char *path, const void *p, size_t n, struct err *e)
{
    char *fresh = NULL;
    struct stat st;
    size_t len = strlen(path);
    if (!len || path[len - 1] == '/' || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return err_set(e, ERR_INVALID, "%s is no name of a file", len ? path : "''");
    if (asprintf(&fresh, "%s.%d.new", path, (int)getpid()) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = write_beside(fresh, path, p, n, e);
    free(fresh);
    return rc;
}

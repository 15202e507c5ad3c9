#include "common/temp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

err_t temp_file_fail(struct err *e, const char *doing)
{
    int why = errno;
    err_t rc = err_sys(e, "%s a temporary file (set TMPDIR to a folder with space)", doing);
    if (why != ENOSPC && why != EDQUOT) return rc;
    return err_wrap(e, ERR_FULL, "no space left");
}

err_t temp_file_open(int *fd, struct err *e)
{
    const char *dirs[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
    *fd = -1;
    for (size_t i = 0; i < 3 && *fd < 0; i++) {
        char path[4096];
        if (!dirs[i] || !*dirs[i]) continue;
        *fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (*fd >= 0) break;
        int n = snprintf(path, sizeof path, "%s/tranche-XXXXXX", dirs[i]);
        if (n < 0 || n >= (int)sizeof path) continue;
        *fd = mkostemp(path, O_CLOEXEC);
        if (*fd >= 0) unlink(path);
    }
    return *fd < 0 ? temp_file_fail(e, "cannot make") : ERR_OK;
}

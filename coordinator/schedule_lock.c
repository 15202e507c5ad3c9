#include "coordinator/schedule_lock.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const ns_t PATIENCE = 60 * NS_S;
enum { LOOK_AGAIN_MS = 20 };

// ERR_IO: it cannot be locked at all.
static err_t lock(const char *folder, int *fd, struct err *e)
{
    ns_t since = clock_ns();
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) return ERR_IO;
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        bool taken = errno == EWOULDBLOCK;
        if (taken && clock_ns() - since < PATIENCE) {
            nanosleep(&(struct timespec){ .tv_nsec = LOOK_AGAIN_MS * NS_MS }, NULL);
            continue;
        }
        close(*fd);
        *fd = -1;
        if (!taken) return ERR_IO;
        return err_set(e, ERR_BUSY,
                       "another 'tranche schedule' has been at work for a minute (it has "
                       "the lock of %s): try again when it is done",
                       folder);
    }
    return ERR_OK;
}

err_t schedule_lock(int *fd, struct err *e)
{
    const struct passwd *me = getpwuid(geteuid());
    err_t rc = ERR_IO;
    *fd = -1;
    if (me && me->pw_dir[0] == '/') rc = lock(me->pw_dir, fd, e);
    if (rc == ERR_IO) rc = lock("/", fd, e);
    return rc == ERR_IO ? ERR_OK : rc;
}

void schedule_unlock(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

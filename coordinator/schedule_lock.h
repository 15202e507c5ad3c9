// schedule_lock - one `tranche schedule` of a user at a time: what stands in a crontab is
// read, changed and written back as a whole, and two at the same moment would lose each
// other's lines.
//
// flock on the user's home folder (of the password file, whatever HOME says), or on / where
// that cannot be locked; nothing is written there. The kernel drops it with the process.

#ifndef COORDINATOR_SCHEDULE_LOCK_H
#define COORDINATOR_SCHEDULE_LOCK_H

#include "common/err.h"

// Waits up to a minute; then ERR_BUSY. *fd is for schedule_unlock, in any case; -1: nothing
// can be locked here, and so nothing is.
MUST_CHECK err_t schedule_lock(int *fd, struct err *e);
void schedule_unlock(int *fd);

#endif

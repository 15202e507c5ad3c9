// own_group - groups that are one user's alone: Debian makes one for each user, by the
// user's name, and with the umask 002 that goes with it folders are writable by it.

#ifndef WORKER_OWN_GROUP_H
#define WORKER_OWN_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

// Whether `gid` is the first group of this user, has the user's name, and nobody else is in
// it, as far as the system tells (users that it can't list are not seen). Not thread-safe.
bool own_group(uid_t uid, gid_t gid);

#endif

// run_lock - one coordinator a load: flock on a file of its own, DIR/locks/HASH.lock.
//
// The kernel drops the lock when the process dies, however it dies. What stands in the file
// is only for the sentence about who holds it; what a dead process left there is no
// obstacle.

#ifndef COORDINATOR_RUN_LOCK_H
#define COORDINATOR_RUN_LOCK_H

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct run_lock;

// Creates DIR (0700) and DIR/locks where missing. ERR_FULL, ERR_IO: they can't be.
MUST_CHECK err_t run_lock_folder(const char *dir, struct err *e);

// Makes these folders, too. ERR_BUSY: another process has it; the
// sentence names process, command, host and since when. ERR_FULL, ERR_IO: DIR can't be
// written.
MUST_CHECK err_t run_lock_take(struct run_lock **out, const char *dir, const char *key,
                               struct err *e);
void run_lock_release(struct run_lock **l);

// As run_lock_take, for what is no load. ERR_BUSY has no sentence but the holder's line, as
// it stands in the file: "process 123 (tranche serve) on host h since ..."; "": unknown.
enum { RUN_LOCK_WHO = 500 };
MUST_CHECK err_t run_lock_try(struct run_lock **out, const char *dir, const char *key,
                              char who[RUN_LOCK_WHO], struct err *e);
bool run_lock_is_taken(const char *dir, const char *key); // false: it cannot be told, too
// Whoever has a copy of this descriptor holds the lock, too.
int run_lock_fd(const struct run_lock *l);

#define RUN_LOCK_HOLDER 96
// Names this process on this machine since its boot, for run_lock_holder_lives:
// PID@BOOT@HOST@BEGAN, HOST a digest of the machine's id and name, BEGAN its start in clock
// ticks (field 22 of proc(5)'s stat). Names of earlier versions end behind BOOT.
void run_lock_holder(char out[RUN_LOCK_HOLDER]);
void run_lock_holder_of(int64_t pid, char out[RUN_LOCK_HOLDER]); // as it names itself
// False only when it is certain that the process so named is gone: also when this machine
// was started anew, or its number is another process's now. Of another host: true.
bool run_lock_holder_lives(const char *holder);

#endif

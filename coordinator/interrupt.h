// interrupt - Ctrl-C, SIGTERM and SIGHUP, whatever the program is doing at the moment.
//
// A thread of its own waits for them, so that no phase of a run can keep them waiting.
// While something watches interrupt_fd, the first signal only makes it readable: the run
// ends in order. At any other time, and with a second signal half a second later or more,
// `at_once` is called.

#ifndef COORDINATOR_INTERRUPT_H
#define COORDINATOR_INTERRUPT_H

#include "common/err.h"

#include <stdbool.h>

// From the signal thread: must end the process, and wait for nothing.
typedef void interrupt_fn(void *arg, int signo);

// Before any other thread starts: those inherit the blocked signals. Once in a process.
MUST_CHECK err_t interrupt_start(interrupt_fn *at_once, void *arg, struct err *e);

int interrupt_fd(void);        // readable: a signal waits to be seen
void interrupt_watch(bool on); // somebody polls the descriptor from now on, or no more
int interrupt_seen(void);      // the first signal since interrupt_start, 0: none came

// From now on SIGHUP asks for files to be read again instead of ending the run: it makes
// interrupt_fd readable, and the next call of interrupt_reload_asked true.
void interrupt_reload_on_hangup(bool on);
bool interrupt_reload_asked(void); // since the last call; clears interrupt_fd with it

// Only one of them tells how the run ended: true for the first that asks, `at_once` or the
// main thread. The main thread that comes second waits here for the end of the process.
bool interrupt_claim_end(bool at_once);

#endif

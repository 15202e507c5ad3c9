// crash - named places where a test build can be made to die, as if by kill -9.
//
// They stand between durable steps. In builds with TRANCHE_TEST_HOOKS the environment
// variable TRANCHE_CRASH_AT=NAME[:N] raises SIGKILL on the own process when the place NAME
// is passed for the Nth time (default 1), TRANCHE_STOP_AT likewise SIGSTOP, after which it
// may go on; TRANCHE_CRASH_TRACE=FILE appends the names of all that are passed. Releases
// contain nothing of it.

#ifndef COMMON_CRASH_H
#define COMMON_CRASH_H

#ifdef TRANCHE_TEST_HOOKS
void crash_point(const char *name); // from any thread
#else
#define crash_point(name) ((void)0)
#endif

#endif

// zmq_lib - libzmq is loaded when a link is first opened, or ahead of that by a thread: it
// brings fifteen libraries with it, which what only describes, plans, runs batches or reads
// the history would load for nothing. Its header stays what callers include; a function of
// it that is not listed in zmq_lib.c does not link: list it there.

#ifndef PROTO_ZMQ_LIB_H
#define PROTO_ZMQ_LIB_H

#include "common/err.h"

// Before the first function of libzmq; any thread. ERR_IO: it is not installed. Who calls a
// function without it ends the process with that sentence, as the loader of programs would.
MUST_CHECK err_t zmq_lib_load(struct err *e);

#endif

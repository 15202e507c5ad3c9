// http_share - how many requests of an http step may be under way on this host, and how
// soon the next may begin.
//
// All runners of a worker, and all lanes in them, take from one share, which stands in
// memory that they have together (the board). Each slot counts what it holds in a place of
// its own, and a sum is made before anything is taken: so nothing is ever held too much, no
// lock can be left behind by a runner that dies, and its parent gives back what it held by
// writing a zero.
//
// A lane enters with a batch and leaves with its end. No more lanes are inside than there
// are requests to be had, so that each of them gets one; the others wait. A lane that has
// more than an equal part takes no further one while another has less than its part.

#ifndef WORKER_HTTP_SHARE_H
#define WORKER_HTTP_SHARE_H

#include "common/clock.h"
#include "common/step.h"

#include <stdatomic.h>

enum { HTTP_SHARE_SLOTS = 1024 };

struct http_share_board {   // zero: nobody said anything, the step's own limits hold
    _Atomic uint32_t slots; // that ever took part: below it
    struct http_share_step {
        _Atomic uint32_t limit;   // requests at a time on this host, plus 1
        _Atomic int64_t gap_ns;   // from one begin to the next on this host, plus 1
        _Atomic int64_t next_ns;  // before then none may begin
        _Atomic uint32_t bell;    // rises when something is given back
        _Atomic uint32_t waiting; // for the bell, perhaps some that died
        struct {
            _Atomic uint32_t inside, poor, held;
        } slot[HTTP_SHARE_SLOTS];
    } step[STEP_HTTP_MAX];
};

// ---- the parent's ----

// A board in a memfd, for runners. http_share_drop unmaps it and closes *fd.
MUST_CHECK err_t http_share_new(struct http_share_board **b, int *fd, struct err *e);
void http_share_drop(struct http_share_board **b, int *fd);
// The runner of this slot has ended: what it held is free.
void http_share_forget(struct http_share_board *b, uint32_t slot);
// What this host may do from now on. What is under way goes on.
void http_share_set(struct http_share_board *b, uint32_t step, uint32_t limit,
                    int64_t gap_ns);
uint32_t http_share_held(const struct http_share_board *b, uint32_t step);

// ---- a runner's; without a board a process has one of its own ----

// Before the first share is opened: the board in this memfd, as slot number `slot`.
MUST_CHECK err_t http_share_join(int fd, uint32_t slot, struct err *e);
void http_share_attach(struct http_share_board *b, uint32_t slot); // the same

struct http_share { // a lane's
    struct http_share_step *s;
    uint32_t slot;
    uint32_t limit; // of the step, where the board says nothing
    int64_t gap_ns;
    uint32_t held; // by this lane
    bool inside, poor;
};

// `number` counts the http steps of the job.
void http_share_open(struct http_share *s, uint32_t number, const struct step_http *h);
// False: there was no room until the deadline.
MUST_CHECK bool http_share_enter(struct http_share *s, ns_t deadline);
// One more request, now. False: not before *until; NS_NEVER: when one was given back.
MUST_CHECK bool http_share_take(struct http_share *s, ns_t now, ns_t *until);
void http_share_give(struct http_share *s);   // it has ended
void http_share_enough(struct http_share *s); // nothing more is wanted, for now
void http_share_leave(struct http_share *s);  // and gives all back
// Until somebody gave something back, or the time has come.
void http_share_wait(struct http_share *s, ns_t until);

#endif

// client - the other end of a server (serve.h): asks, and asks again until it is answered.

#ifndef COORDINATOR_CLIENT_H
#define COORDINATOR_CLIENT_H

#include "proto/link.h"

struct client { // zero-initialised is a valid closed one
    struct link *link;
    int folder; // of the socket; 0: none
    struct access access;
    uint64_t ask; // number of the last question
    char where[KEYS_ADDRESS];
};

// The server whose state folder that is; or, when `access` is not NULL, the one of that
// access file. ERR_CLOSED: there is no server.
MUST_CHECK err_t client_open(struct client *c, const char *state, const char *access,
                             struct err *e);
void client_close(struct client *c);

// What becomes of a question after an answer to it. `m` NULL: it is about to be asked, for
// the first time or again, and what was heard so far is void.
enum client_next {
    CLIENT_MORE, // there will be another answer
    CLIENT_DONE,
    CLIENT_AGAIN, // ask at once, as *question is now
};
typedef enum client_next client_fn(void *arg, const struct msg *m, struct slice payload);

// Until CLIENT_DONE. ERR_TIMEOUT: nothing was heard for a minute (a server may be started
// anew in the meantime); any other: what the server says, or who it is not. The payload is
// borrowed.
MUST_CHECK err_t client_ask(struct client *c, struct msg *question, struct slice payload,
                            client_fn *fn, void *arg, struct err *e);

#endif

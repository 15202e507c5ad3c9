// web_impl - what the files of web share. Nobody else includes it.
//
// One thread: it runs libmicrohttpd's events (never a thread of that), looks after slow
// connections, and wakes the streams. web_start makes everything before the thread begins;
// afterwards only the descriptor that stops it is touched from outside.

#ifndef COORDINATOR_WEB_IMPL_H
#define COORDINATOR_WEB_IMPL_H

#include "coordinator/web.h"
#include "coordinator/web_guard.h"
#include "coordinator/web_lib.h"
#include "coordinator/web_route.h"

#include <pthread.h>

struct web_conn { // a connection
    int fd;       // -1: none
    ns_t since;
    bool answered, stream;
    char own[WEB_ADDRESS_TEXT]; // the address that it came in at
};

struct web_stream { // of /events
    struct web *w;  // NULL: none
    struct MHD_Connection *connection;
    int fd;
    bool asleep;
    uint64_t told; // the version
    ns_t spoke;
    char text[64]; // that is to be sent
    size_t n, sent;
};

struct web {
    const struct web_lib *lib;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool started; // the thread
    bool closing;
    int listener, stop, events; // events: libmicrohttpd's epoll
    char state[4096], address[WEB_ADDRESS_TEXT + 32];
    char file[4200]; // that the address stands in
    const char *hosts[WEB_HOSTS + 1];
    struct web_token token;
    struct web_view view;
    struct web_conn conn[WEB_CONNECTIONS];
    struct web_stream stream[WEB_STREAMS];
    uint32_t n_conns, n_streams;
};

// web_answer.c
enum MHD_Result web_answer(void *arg, struct MHD_Connection *c, const char *url,
                           const char *method, const char *version, const char *upload,
                           size_t *n_upload, void **of_request);
// Takes the response; with the headers that all have.
enum MHD_Result web_send(struct web *w, struct MHD_Connection *c, int status,
                         const char *type, struct MHD_Response *r);
enum MHD_Result web_say(struct web *w, struct MHD_Connection *c, enum web_kind kind,
                        int status, const char *text);
struct web_conn *web_conn_of(struct web *w, struct MHD_Connection *c); // NULL: too many

// web_events.c
enum MHD_Result web_events_open(struct web *w, struct MHD_Connection *c);
// Wakes those that have something to say. The next time something is due.
ns_t web_events_tick(struct web *w, ns_t now);
void web_events_end(struct web *w); // all of them

#endif

// serve_impl - what the files of serve share. No one else includes it.
//
// One thread: children and signals (serve.c, serve_child.c), clients (serve_talk.c). All
// that must survive stands in the backlog before it is acted upon.

#ifndef COORDINATOR_SERVE_IMPL_H
#define COORDINATOR_SERVE_IMPL_H

#include "common/clock.h"
#include "common/say.h"
#include "coordinator/backlog.h"
#include "coordinator/cli.h"
#include "coordinator/job_log.h"
#include "coordinator/run_lock.h"
#include "coordinator/serve.h"
#include "coordinator/web.h"
#include "proto/link.h"

#include <sys/types.h>

enum { SERVE_IPC, SERVE_TCP, SERVE_LINKS };
enum { WATCHERS_MAX = 256, SERVE_PATH = 4096, STRIKERS = 32 };

struct child { // a job that runs
    int64_t id;
    pid_t pid;
    int out; // what it writes; -1: closed
    struct job_log log;
    bool log_failed; // and it was said
    char *loads;
    char holder[RUN_LOCK_HOLDER];
    int64_t began_ms;
    ns_t told;    // to stop, the last time; 0: never
    bool over;    // reaped; not yet recorded, if it is still here
    bool unbegun; // and it never had a process
    int unfound;  // so many times runs.db did not have it as a job that runs
    int status;
    struct child *next;
};

struct watcher { // a question whose answer is yet to come
    struct link_peer peer;
    uint64_t ask; // its number; 0: no watcher
    bool reads;   // from `at` of the log; else it waits for the end
    int64_t job;
    uint64_t at;
    ns_t since;
};

struct striker { // who broke the rules
    char user[GATE_USER];
    unsigned n;
};

struct serve {
    const struct serve_opts *opts;
    char state[SERVE_PATH]; // full paths
    char logs[SERVE_PATH + 32];
    struct run_lock *lock;
    struct backlog *backlog;
    struct web *web;  // NULL: no page
    char *page_token; // full path
    char hosts[1024]; // of the page, ended with NULs
    struct link *link[SERVE_LINKS];
    int folder; // of the socket
    struct gate *gate;
    struct key_pair keys;
    int signals;
    int stopping; // by this signal; 0: not
    ns_t stop_asked;
    bool hurry;       // it was said twice
    int64_t unlogged; // the job of which it was said last that it has no log
    ns_t all_over;    // since when only the queue is missing the end of jobs; 0: not so
    struct child *children;
    uint32_t n_children;
    bool look; // at the queue: something may begin
    ns_t looked_at_gate;
    char owner[64]; // who we are, and with us those who come in here
    struct watcher watcher[WATCHERS_MAX];
    struct striker striker[STRIKERS];
    unsigned next_striker;
    struct err scratch;
    char said[sizeof((struct err *)0)->text]; // the last trouble, so that it is said once
};

// One line of the server's life; `id` 0: about no job.
void serve_say(struct serve *s, const char *event, int64_t id, const char *text);
// What went wrong and is tried again, once.
void serve_trouble(struct serve *s, const struct err *e);

// serve_child.c
void serve_begin_jobs(struct serve *s); // as many as may run
void serve_hear_child(struct serve *s, struct child *c);
void serve_reap(struct serve *s);
void serve_record_ends(struct serve *s);
void serve_stop_child(struct serve *s, struct child *c);
void serve_mind_children(struct serve *s, ns_t now); // those that were told to stop
void serve_kill_children(struct serve *s);
bool serve_all_over(const struct serve *s); // no process of a job is left
// The rest is not recorded: the next server finds them running, and queues them again.
void serve_leave_children(struct serve *s);
struct child *serve_child_of(const struct serve *s, int64_t id); // NULL: it does not run
// The one whose run this process makes: itself, or a step of its pipeline. NULL: none.
struct child *serve_child_with(struct serve *s, const char *holder);

// serve_crew.c
struct question { // of a client
    const struct link_peer *peer;
    uint64_t ask; // its number
    struct link *link;
};
MUST_CHECK err_t serve_crew(struct serve *s, const struct question *q, uint32_t most,
                            uint64_t *n, struct err *e);
MUST_CHECK err_t serve_retire(struct serve *s, struct msg_str name, struct err *e);

// serve_talk.c
bool serve_take_messages(struct serve *s); // false: there was none
void serve_tell_watchers(struct serve *s, int64_t job, bool over);
void serve_mind_peers(struct serve *s, ns_t now);

#endif

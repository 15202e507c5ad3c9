// cluster - a whole cluster in virtual time: what its parts share.
//
// cluster_worker.c is the world outside of the coordinator: workers, their tasks, and a
// network that loses, doubles and delays. cluster_coordinator.c is a coordinator around the
// real scheduler, with its ledger and journal.

#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "coordinator/sched.h"
#include "tests/sim/sim.h"

enum { RECORDS_MAX = 1200, CHUNKS_MAX = 2 * RECORDS_MAX, WORKERS_MAX = 300, HELD_MAX = 16 };
enum { RECORD_BYTES = 100 };

enum record {
    GOOD,
    FAILS,
    KILLS_RUNNER,
    HOGS, // takes the memory of its worker: its runner dies, and others beside it
    SLEEPS,
    KILLS_WORKER
};
enum fate { NOT_YET, COMMITTED, REJECTED };

enum what { // of events; the first ones are messages to the coordinator
    HELLO,
    HEARTBEAT,
    PROGRESS,
    RESULT,
    FAIL,
    NACK,
    DEATH_SEEN,
    WAKE,
    COMMIT_DONE,
    COORDINATOR_DIES,
    COORDINATOR_STARTS,
    COORDINATOR_PAUSES,
    TO_WORKER,
    WELCOME = TO_WORKER,
    ASSIGN,
    CANCEL,
    COMMITTED_MSG,
    RESET,
    WORKER_BEATS,
    WORKER_HELLO_AGAIN,
    TASK_ENDS,
    WORKER_DIES,
    WORKER_STARTS,
    WORKER_STOPS,
};

struct event {
    struct sim_event e;
    enum what what;
    int worker;
    uint32_t life; // of the worker or coordinator that it is for
    sid_u64 sid;
    uint32_t begin, end, attempt;
    uint64_t bytes;
    ns_t run;
    enum sched_fail why;
    uint64_t task;
};

struct task {
    uint32_t begin, end, attempt;
    uint64_t serial;
    bool running, hung;
};

struct worker {
    bool up;
    uint32_t life;
    sid_u64 sid; // 0: not welcomed yet
    uint32_t slots;
    struct task *tasks;
    uint32_t n;
    struct task held[HELD_MAX]; // results kept until COMMITTED
    uint32_t n_held;
    ns_t stopped_until;
    ns_t per_record;
};

struct piece { // a chunk as the coordinator knows it
    chunk_id id;
    uint32_t begin, end;
    enum { WAITS, READY, REJECT_READY, IN_LOADER, NOTING } state;
    uint64_t bytes;
};

struct past { // journal: of a range
    uint32_t begin, end, last, failed;
};

struct cluster {
    struct sim sim;
    struct sched_opts o;
    // the world
    uint32_t records, chunk_records, n_workers;
    uint8_t record[RECORDS_MAX];
    uint8_t accidents[RECORDS_MAX]; // random failures that hit it
    struct worker worker[WORKERS_MAX];
    uint64_t serial;
    double loss, doubled, delayed, crash_rate, hang, accident, reaped;
    ns_t faults_end, latency;
    bool by_value, ordered;
    // durable
    uint8_t fate[RECORDS_MAX];
    struct past past[4 * CHUNKS_MAX], split[CHUNKS_MAX];
    uint32_t n_past, n_split, epoch;
    // the coordinator
    struct sched *s;
    uint32_t life;
    bool up, over;
    struct piece piece[CHUNKS_MAX];
    uint32_t n_pieces, next_record, n_sid;
    chunk_id next_id;
    sid_u64 session_of[WORKERS_MAX];
    ns_t wake_at, paused_until;
    bool loader_busy;
    int check_every;
    // what happened
    uint64_t assigned, restarts, rejected, committed, deaths;
};

void cluster_queue(struct cluster *c, ns_t at, struct event x);
bool cluster_faulty(const struct cluster *c);         // while faults may happen
void cluster_send(struct cluster *c, struct event x); // over the network
void cluster_on_worker(struct cluster *c, const struct event *x);
void cluster_on_coordinator(struct cluster *c, const struct event *x);
void cluster_start(struct cluster *c); // the first coordinator

#endif

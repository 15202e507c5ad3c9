// sessions - who is connected: by link and routing id, and by session id.

#ifndef COORDINATOR_SESSIONS_H
#define COORDINATOR_SESSIONS_H

#include "common/clock.h"
#include "common/hash_map.h"
#include "proto/link.h"

struct session {
    struct link_peer peer;
    uint64_t sid;
    char name[64];
    struct hash128 instance; // which process it is
    uint32_t slots;
    bool boots_with_us; // the same host, or one of its containers
    bool by_inode;      // it sees our files: our own ones ...
    bool by_name;       // ... or those of a shared file system
    bool fits;          // it has what the job wants of a worker:
    bool has_labels, has_memory;
    uint64_t memory_bytes; // as it says; 0: it does not
    bool ready;            // the job is open there
    bool joined;           // the scheduler knows it
    bool superfluous;      // there is no request to be had for it, and it was said
    bool gone;             // nothing reaches it any more
    bool missed;           // for want of memory something did not: it has to begin anew
    bool silent;           // nothing came from it for too long, and it was said
    bool retired;          // it was told to leave
    bool refuses;          // it gets no more batches, and it was said
    bool unfit;            // it cannot run the job's program: the same
    unsigned hellos;       // of this connection, about one a second forgotten
    bool to_come;          // not all that was sent has arrived there
    struct line line;
    uint32_t by_path; // chunks that were sent as a path, and not again as bytes
    uint32_t pieces;  // of files that it asked for and that are read for it
    uint32_t to_read; // chunks that are read for it, to be sent then
    ns_t began, heard, sent;
    struct stat_worker *stat; // borrowed from app_stats; NULL: it is not counted
    UT_hash_handle by_peer, by_sid;
};

struct sessions {
    struct session *peers, *sids;
    uint64_t epoch;
    uint32_t n_made; // sids are epoch << 32 | n, never reused (R7)
};

struct session *session_add(struct sessions *s,
                            const struct link_peer *p); // NULL: no memory
struct session *session_of(struct sessions *s, const struct link_peer *p);
struct session *session_by_sid(struct sessions *s, uint64_t sid);
void session_drop(struct sessions *s, struct session **x);
void sessions_free(struct sessions *s);

#endif

#include "coordinator/sessions.h"

#include <stdlib.h>

struct session *session_add(struct sessions *s, const struct link_peer *p)
{
    struct session *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->peer = *p;
    x->sid = s->epoch << 32 | ++s->n_made;
    HASH_ADD(by_peer, s->peers, peer, LINK_PEER_KEY, x);
    if (!x->by_peer.tbl) return free(x), NULL;
    HASH_ADD(by_sid, s->sids, sid, sizeof x->sid, x);
    if (x->by_sid.tbl) return x;
    HASH_DELETE(by_peer, s->peers, x);
    free(x);
    return NULL;
}

struct session *session_of(struct sessions *s, const struct link_peer *p)
{
    struct session *x;
    HASH_FIND(by_peer, s->peers, p, LINK_PEER_KEY, x);
    return x;
}

struct session *session_by_sid(struct sessions *s, uint64_t sid)
{
    struct session *x;
    HASH_FIND(by_sid, s->sids, &sid, sizeof sid, x);
    return x;
}

void session_drop(struct sessions *s, struct session **xx)
{
    struct session *x = *xx;
    HASH_DELETE(by_peer, s->peers, x);
    HASH_DELETE(by_sid, s->sids, x);
    free(x);
    *xx = NULL;
}

void sessions_free(struct sessions *s)
{
    struct session *x, *tmp;
    HASH_ITER(by_sid, s->sids, x, tmp)
    {
        struct session *gone = x;
        session_drop(s, &gone);
    }
}

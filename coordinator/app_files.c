// Files of the job, for workers that do not have them: read off the loop, a piece at a
// time.

#include "coordinator/app_impl.h"

enum { PIECES_MAX = 8 }; // of a session at a time; an honest worker asks for half of that

static bool is_sane(const struct app *a, const struct msg_NEED *n)
{
    if (!hash_equal(n->job, a->job) || n->file >= a->in->files->n) return false;
    uint64_t size = a->in->files->v[n->file].size;
    return n->bytes > 0 && n->bytes <= FILE_PIECE_MAX && n->at < size &&
           n->bytes <= size - n->at;
}

// Those that are read for it, and what was sent and has not arrived: an honest worker asks
// for more when something comes, and begins after all that was on its way to it before.
static bool has_enough(struct app *a, const struct session *s, ns_t now)
{
    struct conns_flow f = { 0 };
    if (s->peer.link == APP_TCP) link_flow(a->in->link[APP_TCP], &s->peer, now, &f);
    uint64_t to_come = f.given > f.arrived ? f.given - f.arrived : 0;
    return s->pieces + to_come / FILE_PIECE_MAX >= PIECES_MAX;
}

void app_need(struct app *a, struct session *s, const struct msg_NEED *n, ns_t now)
{
    if (!is_sane(a, n) || has_enough(a, s, now)) {
        app_strike(a, &s->peer, "a request for bytes that no file of the job has", now);
        return;
    }
    app_look_at_line(a, s, now);
    struct fetched f = { .sid = s->sid,
                         .pack = s->line.pack,
                         .file = &a->in->files->v[n->file],
                         .number = (uint32_t)n->file,
                         .at = n->at,
                         .bytes = (uint32_t)n->bytes };
    s->pieces++;
    app_ask_fetch(a, &f);
}

void app_send_piece(struct app *a, struct fetched *x)
{
    struct session *s = session_by_sid(&a->sessions, x->sid);
    if (s && s->pieces) s->pieces--;
    if (x->code != ERR_OK) app_fails(a, &x->e);
    if (!s || x->code != ERR_OK) {
        fetched_free(&x);
        return;
    }
    struct msg m = { .type = MSG_PIECE,
                     .payload_hash = x->digest,
                     .unpacked = (uint32_t)x->unpacked,
                     .PIECE = { .job = a->job, .file = x->number, .at = x->at } };
    app_post(a, s, &m, (void *)(uintptr_t)x->p, x->n, app_fetched_sent, x);
}

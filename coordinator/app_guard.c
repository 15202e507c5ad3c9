// Peers that do what no honest worker does: they are counted, named and shut out, and what
// they make us say is said at a bearable rate.

#include "coordinator/app_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STRIKES_MAX = 3,
    CULPRITS_MAX = 10000, // without keys everybody can be as many as he likes
    COMPLAINTS_MAX = 20,
};
static const ns_t COMPLAINTS_IN = 10 * NS_S;

struct culprit {
    char who[GATE_USER]; // the user; without keys, the connection
    unsigned n;
    UT_hash_handle hh;
};

// ---- complaints ----

void app_complaints_tick(struct app *a, ns_t now)
{
    char line[100];
    if (now - COMPLAINTS_IN < a->complaints_since) return;
    if (a->complaints > COMPLAINTS_MAX) {
        snprintf(line, sizeof line, "%llu more messages or results were refused",
                 (unsigned long long)(a->complaints - COMPLAINTS_MAX));
        app_say(a, "worker", line);
    }
    a->complaints = 0;
    a->complaints_since = now;
}

void app_complain(struct app *a, const char *kind, const char *text)
{
    app_complaints_tick(a, clock_ns());
    if (++a->complaints <= COMPLAINTS_MAX) app_say(a, kind, text);
}

void app_tell_cut(struct app *a, const struct link_events *seen)
{
    if (seen->endless != a->endless_seen)
        app_complain(a, "worker", "a connection was cut: its message never ended");
    if (seen->deaf != a->deaf_seen)
        app_complain(a, "worker",
                     "a connection was cut: it took nothing of what was sent to it");
    if (seen->too_many != a->too_many_seen)
        app_complain(a, "worker",
                     "connections were cut: there are as many as this run takes, 1200 or "
                     "what 'ulimit -n' leaves");
    a->endless_seen = seen->endless;
    a->deaf_seen = seen->deaf;
    a->too_many_seen = seen->too_many;
}

// ---- strikes ----

static void name_culprit(const struct link_peer *p, char who[GATE_USER])
{
    if (p->user[0]) {
        snprintf(who, GATE_USER, "%s", p->user);
        return;
    }
    int n = snprintf(who, GATE_USER, "%d ", p->connection);
    for (uint8_t i = 0; i < p->n; i++)
        n += snprintf(who + n, GATE_USER - (size_t)n, "%02x", p->id[i]);
}

static void forget(struct app *a, struct culprit *c)
{
    HASH_DEL(a->strikes, c);
    free(c);
}

static void forget_all(struct app *a)
{
    struct culprit *c, *tmp;
    HASH_ITER(hh, a->strikes, c, tmp)
    {
        forget(a, c);
    }
}

static struct culprit *culprit_of(struct app *a, const struct link_peer *p)
{
    char who[GATE_USER];
    struct culprit *c;
    name_culprit(p, who);
    HASH_FIND(hh, a->strikes, who, strlen(who), c);
    if (c) return c;
    if (!a->in->gate && HASH_COUNT(a->strikes) >= CULPRITS_MAX) forget_all(a);
    c = calloc(1, sizeof *c);
    if (!c) return NULL;
    memcpy(c->who, who, sizeof who);
    HASH_ADD(hh, a->strikes, who, strlen(c->who), c);
    if (!c->hh.tbl) return free(c), NULL;
    return c;
}

// `peer` may stand in one of them.
static void end_sessions_of(struct app *a, const struct link_peer *peer, const char *why,
                            ns_t now)
{
    struct session *s, *tmp;
    char user[sizeof peer->user];
    memcpy(user, peer->user, sizeof user);
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        if (strcmp(s->peer.user, user) != 0) continue;
        app_refuse(a, &s->peer, ERR_CLOSED, why);
        app_session_end(a, s, now);
    }
}

static void ban(struct app *a, const struct link_peer *p, const char *what, ns_t now)
{
    char name[KEYS_NAME], line[600];
    gate_name(p->user, name);
    gate_ban(a->in->gate, p->user);
    snprintf(line, sizeof line,
             "worker %s broke the rules %d times, the last time like this: %.300s; its key "
             "is refused until this run ends",
             name, STRIKES_MAX, what);
    app_say(a, "worker", line);
    end_sessions_of(a, p, "this worker broke the rules three times", now);
}

bool app_strike(struct app *a, const struct link_peer *p, const char *what, ns_t now)
{
    struct culprit *c = p->link == APP_TCP ? culprit_of(a, p) : NULL;
    if (!c || ++c->n < STRIKES_MAX) return false;
    if (c->n == STRIKES_MAX && p->user[0]) {
        ban(a, p, what, now); // it is told; if that does not help, we hang up
        return true;
    }
    link_hang_up(a->in->link[APP_TCP], p);
    if (p->user[0]) return true;
    forget(a, c);
    struct session *s = session_of(&a->sessions, p);
    if (s) app_session_end(a, s, now);
    return true;
}

// ---- bad results ----

bool app_doubts_worker(struct app *a, struct work *k, const char *worker, uint64_t sid)
{
    const struct session *s = session_by_sid(&a->sessions, sid);
    if (s && s->peer.link == APP_IPC) return false;
    k->bad_twice |= k->bad_by[0] && strcmp(k->bad_by, worker) != 0;
    snprintf(k->bad_by, sizeof k->bad_by, "%s", worker);
    return !k->bad_twice;
}

void app_guard_close(struct app *a)
{
    char line[400];
    app_complaints_tick(a, NS_NEVER);
    if (a->in->gate && gate_news(a->in->gate, NS_NEVER / 2, line, sizeof line))
        app_say(a, "worker", line);
    forget_all(a);
}

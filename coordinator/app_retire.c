// Workers that a server's user sends away, and those that wait for its next job.

#include "coordinator/app_impl.h"

#include "coordinator/journal_crew.h"

#include <stdio.h>
#include <string.h>

static const ns_t LOOK_EVERY = NS_S;

static void retire(void *arg, const char *name, int64_t asked_ms)
{
    struct app *a = arg;
    static const char reason[] = "it was drained";
    struct session *s, *tmp;
    char line[120];
    ns_t now = clock_ns();
    int64_t wall = clock_wall_ms();
    HASH_ITER(by_sid, a->sessions.sids, s, tmp)
    {
        bool later = wall - (now - s->began) / NS_MS > asked_ms; // it came again since
        if (s->retired || later || s->peer.link == APP_IPC || strcmp(s->name, name) != 0)
            continue;
        struct msg m = { .type = MSG_DRAIN,
                         .DRAIN = { msg_str(reason, sizeof reason - 1) } };
        s->retired = true;
        sched_worker_drain(a->sched, s->sid, now);
        app_post(a, s, &m, NULL, 0, NULL, NULL);
        snprintf(line, sizeof line,
                 "worker %s was drained: it ends what it has, and leaves", s->name);
        app_say(a, "worker", line);
    }
}

void app_mind_retired(struct app *a, ns_t now)
{
    if (!a->in->job->served || !a->in->journal || now - a->retired_seen < LOOK_EVERY)
        return;
    a->retired_seen = now;
    if (journal_retired(a->in->journal, retire, a, &a->scratch) != ERR_OK)
        app_journal_failed(a);
}

bool app_keeps_for_next(const struct app *a, const struct session *s)
{
    return a->in->job->served && s->peer.link == APP_TCP && !s->retired;
}

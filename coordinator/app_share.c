// Who may make how many of the requests of http steps: SHARE and SHARED.

#include "coordinator/app_impl.h"

#include <stdio.h>
#include <stdlib.h>

err_t app_share_open(struct app *a, struct err *e)
{
    const struct job *j = a->in->job;
    a->shares = calloc(STEP_HTTP_MAX, sizeof *a->shares);
    if (!a->shares) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < j->n_steps && a->n_shares < STEP_HTTP_MAX; i++) {
        const struct step *s = &j->steps[i];
        if (s->kind != STEP_HTTP) continue;
        a->shares[a->n_shares].of.total = s->http.concurrency;
        a->shares[a->n_shares++].gap_ns = s->http.gap_ns;
    }
    return ERR_OK;
}

void app_share_close(struct app *a)
{
    for (size_t i = 0; i < a->n_shares; i++)
        shares_free(&a->shares[i].of);
    free(a->shares);
}

// The rate is divided as the requests are.
static uint64_t gap_of(const struct app_share *s, uint32_t requests)
{
    if (!s->gap_ns || !requests) return 0;
    return (uint64_t)s->gap_ns * s->of.total / requests;
}

static void tell(struct app *a)
{
    struct shares_message m;
    for (size_t i = 0; i < a->n_shares; i++)
        while (shares_next(&a->shares[i].of, &m)) {
            struct session *s = session_by_sid(&a->sessions, m.id);
            struct msg say = { .type = MSG_SHARE,
                               .SHARE = { .job = a->job,
                                          .step = i,
                                          .seq = m.seq,
                                          .requests = m.requests,
                                          .gap_ns = gap_of(&a->shares[i], m.requests) } };
            if (s) app_post(a, s, &say, NULL, 0, NULL, NULL);
        }
}

bool app_share_admits(struct app *a, struct session *s)
{
    char line[200];
    bool admitted = true, comes = true;
    for (size_t i = 0; i < a->n_shares; i++)
        if (shares_join(&a->shares[i].of, s->sid, s->slots, &a->scratch) != ERR_OK)
            app_fails_nomem(a);
    tell(a);
    for (size_t i = 0; i < a->n_shares; i++) {
        admitted &= shares_of(&a->shares[i].of, s->sid) > 0;
        comes &= shares_wants(&a->shares[i].of, s->sid);
    }
    if (!comes && !s->superfluous) {
        s->superfluous = true;
        snprintf(
            line, sizeof line,
            "worker %s gets no batches: there are more workers than requests at a time "
            "(http.concurrency)",
            s->name);
        app_say(a, "worker", line);
    }
    return admitted;
}

void app_share_left(struct app *a, uint64_t sid, ns_t now)
{
    if (a->n_shares == 0) return;
    for (size_t i = 0; i < a->n_shares; i++)
        shares_leave(&a->shares[i].of, sid);
    tell(a);
    app_join_ready(a, now);
}

void app_shared(struct app *a, const struct session *s, const struct msg_SHARED *m,
                ns_t now)
{
    if (m->step >= a->n_shares) return;
    shares_confirm(&a->shares[m->step].of, s->sid, m->seq);
    tell(a);
    app_join_ready(a, now);
}

// The workers of the jobs that run, as these tell of them in runs.db.

#include "coordinator/serve_impl.h"

#include "coordinator/journal_crew.h"

#include <stdio.h>
#include <string.h>

struct telling {
    struct serve *s;
    const struct question *q;
    uint32_t most;
    uint64_t n;
};

static struct msg_str say_str(const char *text)
{
    return msg_str(text, strlen(text));
}

static bool tell(void *arg, const struct journal_member *m)
{
    struct telling *t = arg;
    struct err e;
    char doing[300] = "";
    const struct child *c = serve_child_with(t->s, m->holder);
    if (!c) return true; // of a run that somebody made by hand
    if (m->chunks)
        snprintf(doing, sizeof doing, "%.200s %s %llu-%llu", m->input,
                 m->in_rows ? "rows" : "bytes", (unsigned long long)m->begin,
                 (unsigned long long)m->end);
    struct msg x = { .type = MSG_MEMBER,
                     .sid = t->q->ask,
                     .MEMBER = { .name = say_str(m->name),
                                 .host = say_str(m->host),
                                 .slots = m->slots,
                                 .since_ms = (uint64_t)m->since_ms,
                                 .job = (uint64_t)c->id,
                                 .leaving = m->leaving,
                                 .doing = say_str(doing) } };
    bool sent = link_post(t->q->link, t->q->peer, &x, NULL, 0, NULL, NULL, &e) == ERR_OK;
    return ++t->n < t->most && sent;
}

err_t serve_crew(struct serve *s, const struct question *q, uint32_t most, uint64_t *n,
                 struct err *e)
{
    struct telling t = { .s = s, .q = q, .most = most };
    TRY(journal_crew(s->state, tell, &t, e));
    *n = t.n;
    return ERR_OK;
}

// ---- retire ----

struct wanted {
    struct serve *s;
    char name[65];
    int64_t run; // the newest one with such a worker; 0: none
    bool local;
};

static bool find(void *arg, const struct journal_member *m)
{
    struct wanted *w = arg;
    if (strcmp(m->name, w->name) != 0 || !serve_child_with(w->s, m->holder)) return true;
    w->run = m->run;
    w->local = strcmp(m->role, "local") == 0;
    return true;
}

err_t serve_retire(struct serve *s, struct msg_str name, struct err *e)
{
    struct wanted w = { .s = s };
    snprintf(w.name, sizeof w.name, "%.*s", (int)name.n, name.p);
    TRY(journal_crew(s->state, find, &w, e));
    if (!w.run)
        return err_set(e, ERR_INVALID,
                       "no job that runs has a worker '%s'; 'tranche workers' lists them",
                       w.name);
    if (w.local)
        return err_set(e, ERR_INVALID,
                       "'%s' is the job's own worker on the server's host: it leaves with "
                       "its job, which 'tranche cancel' ends",
                       w.name);
    TRY(journal_retire(s->state, w.run, w.name, e));
    char line[120];
    snprintf(line, sizeof line, "worker %s is drained", w.name);
    serve_say(s, "drain", 0, line);
    return ERR_OK;
}

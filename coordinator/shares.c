#include "coordinator/shares.h"

#include <stdlib.h>
#include <string.h>

static struct shares_worker *find(const struct shares *s, uint64_t id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].id == id) return &s->v[i];
    return NULL;
}

err_t shares_join(struct shares *s, uint64_t id, uint32_t slots, struct err *e)
{
    if (find(s, id)) return ERR_OK;
    struct shares_worker *v = realloc(s->v, (s->n + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory: a worker");
    s->v = v;
    v[s->n++] = (struct shares_worker){ .id = id, .slots = slots ? slots : 1 };
    return ERR_OK;
}

void shares_leave(struct shares *s, uint64_t id)
{
    struct shares_worker *w = find(s, id);
    if (!w) return;
    memmove(w, w + 1, (size_t)(s->v + s->n - (w + 1)) * sizeof *w);
    s->n--;
}

void shares_confirm(struct shares *s, uint64_t id, uint64_t seq)
{
    struct shares_worker *w = find(s, id);
    if (w && w->seq == seq) w->bound = w->told;
}

static size_t n_in(const struct shares *s)
{
    return s->n < s->total ? s->n : s->total;
}

// One each, and of the rest a part by slots: what is left of division goes where the sum
// passes the next whole number.
static uint32_t target(const struct shares *s, size_t i)
{
    uint64_t in = n_in(s), rest = s->total - in, all = 0, before = 0;
    if (i >= in) return 0;
    for (size_t k = 0; k < in; k++) {
        all += s->v[k].slots;
        if (k < i) before += s->v[k].slots;
    }
    return 1 + (uint32_t)(rest * (before + s->v[i].slots) / all - rest * before / all);
}

static uint64_t room(const struct shares *s)
{
    uint64_t bound = 0;
    for (size_t i = 0; i < s->n; i++)
        bound += s->v[i].bound;
    return s->total - bound;
}

static bool tell(struct shares_worker *w, uint32_t requests, struct shares_message *out)
{
    w->told = requests;
    if (w->bound < requests) w->bound = requests;
    *out = (struct shares_message){ w->id, ++w->seq, requests };
    return true;
}

bool shares_next(struct shares *s, struct shares_message *out)
{
    for (size_t i = 0; i < s->n; i++)
        if (target(s, i) < s->v[i].told) return tell(&s->v[i], target(s, i), out);
    for (size_t i = 0; i < s->n; i++) {
        struct shares_worker *w = &s->v[i];
        uint64_t want = target(s, i), can = w->bound + room(s);
        if (want > can) want = can;
        if (want > w->told) return tell(w, (uint32_t)want, out);
    }
    return false;
}

uint32_t shares_of(const struct shares *s, uint64_t id)
{
    const struct shares_worker *w = find(s, id);
    return w ? w->told : 0;
}

bool shares_wants(const struct shares *s, uint64_t id)
{
    const struct shares_worker *w = find(s, id);
    return w && target(s, (size_t)(w - s->v)) > 0;
}

void shares_free(struct shares *s)
{
    free(s->v);
    *s = (struct shares){ .total = s->total };
}

// Results that workers kept while there was no coordinator: an earlier one of this load
// gave them the chunk, this one has not come to it yet. They wait until the source cuts it
// again.

#include "coordinator/app_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct early {
    struct work_key key;
    char worker[64];
    uint64_t sid;
    struct link_in *in;
    UT_hash_handle hh;
};

static bool is_ahead(const struct app *a, const struct lease *l)
{
    if (a->fed || l->epoch >= a->in->load->epoch) return false;
    return l->input > a->fed_to.input ||
           (l->input == a->fed_to.input && l->begin >= a->fed_to.end);
}

static void early_free(struct app *a, struct early *x)
{
    HASH_DEL(a->early, x);
    a->early_bytes -= link_payload(x->in).n;
    link_in_free(&x->in);
    free(x);
}

bool app_keep_early(struct app *a, const struct lease *l, const char *worker, uint64_t sid,
                    struct link_in **in)
{
    struct early *x, *old;
    size_t bytes = link_payload(*in).n;
    if (!is_ahead(a, l)) return false;
    // Without the room for it the worker goes on keeping it, and it is not asked again.
    if (a->early_bytes + bytes > a->in->job->memory_bytes / 8) return true;
    x = calloc(1, sizeof *x);
    if (!x) return true;
    x->key = (struct work_key){ l->input, l->begin, l->end };
    HASH_FIND(hh, a->early, &x->key, sizeof x->key, old);
    if (old) early_free(a, old);
    snprintf(x->worker, sizeof x->worker, "%s", worker);
    x->sid = sid;
    HASH_ADD(hh, a->early, key, sizeof x->key, x);
    if (!x->hh.tbl) return free(x), true;
    x->in = *in;
    *in = NULL;
    a->early_bytes += bytes;
    return true;
}

void app_take_early(struct app *a, struct work *k)
{
    struct early *x;
    HASH_FIND(hh, a->early, &k->key, sizeof k->key, x);
    if (!x) return;
    struct link_in *in = x->in;
    struct early own = *x;
    HASH_DEL(a->early, x);
    a->early_bytes -= link_payload(in).n;
    free(x);
    a->t->handed_over++;
    app_result(a, k, own.worker, own.sid, &in, clock_ns());
    link_in_free(&in);
}

void app_drop_early(struct app *a)
{
    struct early *x, *tmp;
    HASH_ITER(hh, a->early, x, tmp)
    {
        early_free(a, x);
    }
}

#include "coordinator/local_link.h"

#include <signal.h>

static void *open_it(void *arg)
{
    struct local_link *x = arg;
    x->opts.socket = x->local->listener;
    x->rc = link_listen(&x->link, x->local->endpoint, &x->opts, &x->e);
    if (x->rc == ERR_OK) x->local->listener = 0; // libzmq's now
    local_sweep();
    return NULL;
}

void local_link_begin(struct local_link *x, struct local *local, const struct link_opts *o)
{
    sigset_t all, before;
    *x = (struct local_link){ .local = local, .opts = *o };
    sigfillset(&all); // signals are for the thread that waits for them
    pthread_sigmask(SIG_SETMASK, &all, &before);
    x->threaded = pthread_create(&x->thread, NULL, open_it, x) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!x->threaded) open_it(x);
}

err_t local_link_take(struct local_link *x, struct link **out, struct err *e)
{
    if (!x->local) return ERR_OK;
    if (x->threaded) pthread_join(x->thread, NULL);
    x->local = NULL;
    *out = x->link;
    if (x->rc != ERR_OK) *e = x->e;
    return x->rc;
}

void local_link_drop(struct local_link *x)
{
    struct link *l = NULL;
    struct err e;
    if (local_link_take(x, &l, &e) == ERR_OK) link_close(&l, 0);
}

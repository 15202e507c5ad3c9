#include "coordinator/local_link.h"

#include <pthread.h>
#include <signal.h>

static void open_it(struct local_link *x)
{
    x->opts.socket = x->local->listener;
    x->rc = link_listen(&x->link, x->local->endpoint, &x->opts, &x->e);
    if (x->rc == ERR_OK) x->local->listener = 0; // libzmq's now
    local_sweep();
}

static void *thread_main(void *arg)
{
    struct local_link *x = arg;
    open_it(x);
    sem_post(&x->opened); // the last of ours: *x may be gone now
    return NULL;
}

// Nobody joins it: an interrupt may end the process before anybody waits for the line.
static bool start_thread(struct local_link *x)
{
    pthread_t thread;
    pthread_attr_t alone;
    if (pthread_attr_init(&alone) != 0) return false;
    pthread_attr_setdetachstate(&alone, PTHREAD_CREATE_DETACHED);
    bool runs = pthread_create(&thread, &alone, thread_main, x) == 0;
    pthread_attr_destroy(&alone);
    return runs;
}

void local_link_begin(struct local_link *x, struct local *local, const struct link_opts *o)
{
    sigset_t all, before;
    *x = (struct local_link){ .local = local, .opts = *o };
    sem_init(&x->opened, 0, 0);
    sigfillset(&all); // signals are for the thread that waits for them
    pthread_sigmask(SIG_SETMASK, &all, &before);
    x->threaded = start_thread(x);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!x->threaded) open_it(x);
}

err_t local_link_take(struct local_link *x, struct link **out, struct err *e)
{
    if (!x->local) return ERR_OK;
    while (x->threaded && sem_wait(&x->opened) != 0) {
    } // a signal
    sem_destroy(&x->opened);
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

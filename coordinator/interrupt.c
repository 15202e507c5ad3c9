#include "coordinator/interrupt.h"

#include "common/clock.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Whoever ends a run may well send its signal twice: to the process and to its group. Only
// a second one that comes later is a person who lost patience.
static const ns_t PATIENCE = NS_S / 2;

static struct {
    interrupt_fn *at_once;
    void *arg;
    int fd;
    _Atomic bool watched;
    _Atomic int first;
    _Atomic bool ending;
    _Atomic bool hangup_reloads, reload;
    sigset_t set;
} it = { .fd = -1 };

static void *wait_for_signals(void *arg)
{
    ns_t first_at = 0;
    (void)arg;
    for (;;) {
        int signo, none = 0;
        uint64_t one = 1;
        if (sigwait(&it.set, &signo) != 0) continue;
        if (signo == SIGHUP && atomic_load(&it.hangup_reloads)) {
            atomic_store(&it.reload, true);
            if (write(it.fd, &one, sizeof one) < 0) continue; // full: it is readable
            continue;
        }
        bool is_first = atomic_compare_exchange_strong(&it.first, &none, signo);
        if (is_first) first_at = clock_ns();
        if (!is_first && clock_ns() - first_at < PATIENCE) continue;
        if (!is_first || !atomic_load(&it.watched)) it.at_once(it.arg, signo);
        if (write(it.fd, &one, sizeof one) < 0) it.at_once(it.arg, signo);
    }
    return NULL;
}

err_t interrupt_start(interrupt_fn *at_once, void *arg, struct err *e)
{
    pthread_t thread;
    assert(it.fd < 0);
    it.at_once = at_once;
    it.arg = arg;
    sigemptyset(&it.set);
    sigaddset(&it.set, SIGINT);
    sigaddset(&it.set, SIGTERM);
    sigaddset(&it.set, SIGHUP);
    it.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (it.fd < 0) return err_sys(e, "cannot receive signals");
    pthread_sigmask(SIG_BLOCK, &it.set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_create(&thread, NULL, wait_for_signals, NULL) != 0) {
        pthread_sigmask(SIG_UNBLOCK, &it.set, NULL);
        return err_set(e, ERR_NOMEM, "cannot start the thread that receives signals");
    }
    pthread_detach(thread);
    return ERR_OK;
}

int interrupt_fd(void)
{
    return it.fd;
}

void interrupt_watch(bool on)
{
    atomic_store(&it.watched, on);
}

int interrupt_seen(void)
{
    return atomic_load(&it.first);
}

void interrupt_reload_on_hangup(bool on)
{
    atomic_store(&it.hangup_reloads, on);
}

bool interrupt_reload_asked(void)
{
    uint64_t count;
    if (!atomic_load(&it.reload)) return false;
    // The descriptor stays readable for a signal that ends the run.
    if (!interrupt_seen() && read(it.fd, &count, sizeof count) < 0) return false;
    return atomic_exchange(&it.reload, false);
}

bool interrupt_claim_end(bool at_once)
{
    bool first = !atomic_exchange(&it.ending, true);
    if (!first && !at_once)
        for (;;)
            pause();
    return first;
}

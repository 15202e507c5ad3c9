#include "worker/http_share.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NAP_MS = 20 }; // whoever rang may have died before it did

static struct http_share_board own, *board = &own;
static uint32_t own_slot;

void http_share_attach(struct http_share_board *b, uint32_t slot)
{
    board = b;
    own_slot = slot % HTTP_SHARE_SLOTS;
    uint32_t slots = atomic_load(&b->slots);
    while (slots <= own_slot &&
           !atomic_compare_exchange_weak(&b->slots, &slots, own_slot + 1)) {
    }
}

static err_t map(int fd, struct http_share_board **b, struct err *e)
{
    void *p = mmap(NULL, sizeof **b, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return err_sys(e, "cannot map what runners share");
    *b = p;
    return ERR_OK;
}

err_t http_share_join(int fd, uint32_t slot, struct err *e)
{
    struct http_share_board *b = NULL;
    TRY(map(fd, &b, e));
    http_share_attach(b, slot);
    return ERR_OK;
}

err_t http_share_new(struct http_share_board **b, int *fd, struct err *e)
{
    *b = NULL;
    *fd = memfd_create("tranche-share", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, sizeof **b))
        return err_sys(e, "cannot create what runners share");
    return map(*fd, b, e);
}

void http_share_drop(struct http_share_board **b, int *fd)
{
    if (*b) munmap(*b, sizeof **b);
    if (*fd >= 0) close(*fd);
    *b = NULL;
    *fd = -1;
}

static void ring(struct http_share_step *s)
{
    atomic_fetch_add(&s->bell, 1);
    if (atomic_load(&s->waiting))
        syscall(SYS_futex, &s->bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void http_share_forget(struct http_share_board *b, uint32_t slot)
{
    if (slot >= HTTP_SHARE_SLOTS) return;
    for (int i = 0; i < STEP_HTTP_MAX; i++) {
        struct http_share_step *s = &b->step[i];
        bool any = atomic_load(&s->slot[slot].inside);
        atomic_store(&s->slot[slot].inside, 0);
        atomic_store(&s->slot[slot].poor, 0);
        atomic_store(&s->slot[slot].held, 0);
        if (any) ring(s);
    }
}

void http_share_set(struct http_share_board *b, uint32_t step, uint32_t limit,
                    int64_t gap_ns)
{
    if (step >= STEP_HTTP_MAX) return;
    atomic_store(&b->step[step].limit, limit + 1);
    atomic_store(&b->step[step].gap_ns, gap_ns + 1);
    ring(&b->step[step]);
}

enum count { INSIDE, POOR, HELD };

static uint32_t sum(const struct http_share_board *b, const struct http_share_step *s,
                    enum count what)
{
    uint32_t n = atomic_load(&b->slots), all = 0;
    for (uint32_t i = 0; i < n && i < HTTP_SHARE_SLOTS; i++)
        all += atomic_load(what == INSIDE ? &s->slot[i].inside
                           : what == POOR ? &s->slot[i].poor
                                          : &s->slot[i].held);
    return all;
}

uint32_t http_share_held(const struct http_share_board *b, uint32_t step)
{
    return step < STEP_HTTP_MAX ? sum(b, &b->step[step], HELD) : 0;
}

void http_share_open(struct http_share *s, uint32_t number, const struct step_http *h)
{
    if (board == &own) http_share_attach(&own, 0);
    *s = (struct http_share){ .s = &board->step[number % STEP_HTTP_MAX],
                              .slot = own_slot,
                              .limit = h->concurrency ? h->concurrency : 1,
                              .gap_ns = h->gap_ns };
}

static uint32_t limit_of(const struct http_share *s)
{
    uint32_t said = atomic_load(&s->s->limit);
    return said ? said - 1 : s->limit;
}

static int64_t gap_of(const struct http_share *s)
{
    int64_t said = atomic_load(&s->s->gap_ns);
    return said ? said - 1 : s->gap_ns;
}

static bool try_enter(struct http_share *s)
{
    atomic_fetch_add(&s->s->slot[s->slot].inside, 1);
    s->inside = sum(board, s->s, INSIDE) <= limit_of(s);
    if (!s->inside) atomic_fetch_sub(&s->s->slot[s->slot].inside, 1);
    return s->inside;
}

static void nap(struct http_share *s, uint32_t bell, ns_t until)
{
    ns_t left = until - clock_ns();
    if (left <= 0) return;
    if (left > NAP_MS * NS_MS) left = NAP_MS * NS_MS;
    struct timespec t = { .tv_sec = left / NS_S, .tv_nsec = left % NS_S };
    atomic_fetch_add(&s->s->waiting, 1);
    syscall(SYS_futex, &s->s->bell, FUTEX_WAIT, bell, &t, NULL, 0);
    atomic_fetch_sub(&s->s->waiting, 1);
}

bool http_share_enter(struct http_share *s, ns_t deadline)
{
    for (;;) {
        uint32_t bell = atomic_load(&s->s->bell);
        if (try_enter(s)) return true;
        if (clock_ns() >= deadline) return false;
        nap(s, bell, deadline);
    }
}

static void set_poor(struct http_share *s, bool poor)
{
    if (s->poor == poor) return;
    s->poor = poor;
    if (poor)
        atomic_fetch_add(&s->s->slot[s->slot].poor, 1);
    else
        atomic_fetch_sub(&s->s->slot[s->slot].poor, 1);
}

// What it is of those inside, when all take the same.
static uint32_t part_of(const struct http_share *s)
{
    uint32_t inside = sum(board, s->s, INSIDE), limit = limit_of(s);
    return inside && limit > inside ? limit / inside : 1;
}

static bool take_place(struct http_share *s)
{
    uint32_t part = part_of(s);
    bool rich = s->held >= part;
    if (rich) set_poor(s, false); // it was, before others came in
    if (rich && sum(board, s->s, POOR)) return false;
    atomic_fetch_add(&s->s->slot[s->slot].held, 1);
    bool taken = sum(board, s->s, HELD) <= limit_of(s);
    if (!taken) atomic_fetch_sub(&s->s->slot[s->slot].held, 1);
    s->held += taken;
    set_poor(s, !taken && !rich);
    return taken;
}

// The moment of its begin is its own: who comes second finds another.
static bool take_moment(struct http_share *s, ns_t now, ns_t *until)
{
    int64_t gap = gap_of(s), next = atomic_load(&s->s->next_ns);
    if (gap == 0) return true;
    do {
        *until = next;
        if (next > now) return false;
    } while (!atomic_compare_exchange_weak(&s->s->next_ns, &next, now + gap));
    return true;
}

// A place that is given back wakes all who wait: none is taken before its time.
static bool is_too_soon(const struct http_share *s, ns_t now, ns_t *until)
{
    int64_t next = atomic_load(&s->s->next_ns);
    bool soon = gap_of(s) && next > now;
    *until = soon ? next : NS_NEVER;
    return soon;
}

bool http_share_take(struct http_share *s, ns_t now, ns_t *until)
{
    if (is_too_soon(s, now, until)) return false;
    if (!take_place(s)) return false;
    if (take_moment(s, now, until)) return true;
    http_share_give(s);
    return false;
}

void http_share_give(struct http_share *s)
{
    s->held--;
    atomic_fetch_sub(&s->s->slot[s->slot].held, 1);
    ring(s->s);
}

void http_share_enough(struct http_share *s)
{
    set_poor(s, false);
}

void http_share_leave(struct http_share *s)
{
    while (s->held)
        http_share_give(s);
    set_poor(s, false);
    if (!s->inside) return;
    s->inside = false;
    atomic_fetch_sub(&s->s->slot[s->slot].inside, 1);
    ring(s->s);
}

void http_share_wait(struct http_share *s, ns_t until)
{
    nap(s, atomic_load(&s->s->bell), until);
}

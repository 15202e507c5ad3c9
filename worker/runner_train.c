#include "worker/runner_train.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const ns_t SAY_EVERY = NS_MS / 2;
enum { ALIGN = 64 }; // of results in a region

struct said { // not yet
    uint8_t packet[TRAIN_MAX * RUNNER_SHORT];
    size_t n;
    ns_t last;
};

static void say(struct said *s)
{
    if (s->n && TEMP_FAILURE_RETRY(send(RUNNER_FD_CHANNEL, s->packet, s->n,
                                        MSG_NOSIGNAL)) != (ssize_t)s->n)
        _exit(1);
    s->n = 0;
}

static void add(struct said *s, const struct runner_done *d)
{
    ns_t now = clock_ns();
    if (d->code == ERR_OK) {
        memcpy(s->packet + s->n, d, RUNNER_SHORT);
        s->n += RUNNER_SHORT;
    } else {
        say(s);
        runner_say(d);
    }
    if (now - s->last < SAY_EVERY) return;
    say(s);
    s->last = now;
}

// One read for those that lie side by side, as they mostly do.
static void read_ahead(struct runner_lane *l, const struct runner_wagon *w, uint32_t n)
{
    uint64_t end = w[0].begin;
    for (uint32_t i = 0; i < n && w[i].begin == end; i++)
        end = w[i].begin + w[i].bytes;
    if (l->task.path[0] && w[0].first_line)
        runner_input_ahead(&l->input, &l->task, w[0].begin, end);
}

void runner_train(struct runner_lane *l, const struct runner_wagon *w, uint32_t n)
{
    static struct said s;
    struct runner_done d;
    s.last = clock_ns();
    read_ahead(l, w, n);
    for (uint32_t i = 0; i < n; i++) {
        if (w[i].end <= w[i].begin) _exit(0);
        runner_begins(l->r);
        l->task.begin = w[i].begin;
        l->task.end = w[i].end;
        l->task.bytes = w[i].bytes;
        l->task.first_line = w[i].first_line;
        l->task.digest = w[i].digest;
        l->input_at = w[i].input_at;
        l->start = clock_ns();
        runner_lane_do(l, &d);
        if (d.code == ERR_OK)
            l->result_at = (l->result_at + d.image_bytes + d.rejects_bytes + ALIGN - 1) /
                           ALIGN * ALIGN;
        if (l->result_at > l->r->result_max) l->result_at = l->r->result_max;
        add(&s, &d);
    }
    say(&s);
    runner_input_ahead(&l->input, &l->task, 0, 0);
}

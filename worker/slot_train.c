#include "worker/slot_impl.h"

#include "common/csv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

err_t slot_put_inputs(struct slot *s, const struct slice *bytes, uint32_t n, uint64_t *at,
                      struct err *e)
{
    static uint8_t block[TRAIN_INPUT_MAX + CSV_PAD];
    size_t used = 0; // slot_put_input puts CSV_PAD before the first and past the last
    for (uint32_t i = 0; i < n; i++) {
        at[i] = CSV_PAD + used;
        assert(bytes[i].n <= TRAIN_INPUT_MAX - used);
        if (bytes[i].n) memcpy(block + used, bytes[i].p, bytes[i].n);
        used += bytes[i].n;
        memset(block + used, 0, CSV_PAD);
        used += CSV_PAD;
    }
    return slot_put_input(s, (struct slice){ block, used }, e);
}

err_t slot_give_train(struct slot *s, struct runner_task *t,
                      const struct runner_wagon *wagon, int region, struct err *e)
{
    static uint8_t packet[sizeof *t + TRAIN_MAX * sizeof *wagon];
    size_t n = t->train * sizeof *wagon;
    assert(s->lanes == 1 && t->train && t->train <= TRAIN_MAX);
    t->result = (uint32_t)region;
    memcpy(packet, t, sizeof *t);
    memcpy(packet + sizeof *t, wagon, n);
    if (TEMP_FAILURE_RETRY(send(s->p.channel, packet, sizeof *t + n, MSG_NOSIGNAL)) !=
        (ssize_t)(sizeof *t + n))
        return err_sys(e, "cannot reach the runner");
    s->result[region].state = RESULT_FILLING;
    slot_packet_add(s, region, t->train);
    return ERR_OK;
}

// ---- packets in flight ----

enum { MOST = sizeof((struct slot *)0)->given / sizeof(struct slot_packet) };

bool slot_takes_ahead(const struct slot *s)
{
    return s->lanes == 1 && s->state == SLOT_BUSY && s->n_given < MOST;
}

bool slot_has_more(const struct slot *s)
{
    return s->n_given > 1 && s->given[1].left == 1;
}

void slot_packet_add(struct slot *s, int region, uint32_t chunks)
{
    assert(s->lanes == 1 && s->n_given < MOST && chunks > 0);
    s->given[s->n_given++] = (struct slot_packet){ region, chunks };
    if (s->n_given > 1) return;
    s->lane[0] = (struct slot_lane){ .busy = true, .region = region };
    s->busy = 1;
    s->state = SLOT_BUSY;
}

bool slot_packet_goes_on(struct slot *s)
{
    assert(s->n_given > 0);
    s->answered++;
    if (--s->given[0].left > 0) return true;
    if (--s->n_given == 0) return false;
    slot_settle_region(s, s->given[0].region);
    s->given[0] = s->given[1];
    s->lane[0].region = s->given[0].region;
    return true;
}

uint32_t slot_begun(const struct slot *s)
{
    return s->lanes == 1 ? atomic_load(&runner_board(s->results, s->result_max)->begun) : 0;
}

uint32_t slot_unsaid(const struct slot *s)
{
    uint32_t given = 0, at = slot_begun(s) - s->answered; // the one it is at is the at-th
    for (uint32_t i = 0; i < s->n_given; i++)
        given += s->given[i].left;
    return at > 0 && at <= given ? at - 1 : 0;
}

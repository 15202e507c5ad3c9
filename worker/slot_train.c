#include "worker/slot.h"

#include "common/csv.h"

#include <assert.h>
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
    atomic_store(&runner_board(s->results, s->result_max)->begun, 0);
    if (send(s->channel, packet, sizeof *t + n, MSG_NOSIGNAL) != (ssize_t)(sizeof *t + n))
        return err_sys(e, "cannot reach the runner");
    s->result[region].state = RESULT_FILLING;
    s->lane[0] = (struct slot_lane){ .busy = true, .region = region };
    s->train = s->left = t->train;
    s->busy = 1;
    s->state = SLOT_BUSY;
    return ERR_OK;
}

uint32_t slot_unsaid(const struct slot *s)
{
    if (s->train < 2) return 0;
    uint32_t begun = atomic_load(&runner_board(s->results, s->result_max)->begun);
    uint32_t said = s->train - s->left;
    return begun > said && begun <= s->train ? begun - said - 1 : 0;
}

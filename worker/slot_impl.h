// slot_impl - what slot.c (the process) and slot_train.c (packets of a slot with one lane)
// share.

#ifndef WORKER_SLOT_IMPL_H
#define WORKER_SLOT_IMPL_H

#include "worker/slot.h"

// Nothing more is written there.
void slot_settle_region(struct slot *s, int region);

// ---- slot_train.c ----
void slot_packet_add(struct slot *s, int region, uint32_t chunks); // was sent
// One chunk of what it is at is answered. False: it has nothing more to do.
bool slot_packet_goes_on(struct slot *s);
uint32_t slot_begun(const struct slot *s); // as the process says

#endif

// line - does it pay to pack what goes over one connection?
//
// Both sides ask the kernel (conns.h) how many bytes the other host has acknowledged, and
// how long there was something to send: their ratio is what the line carries, whatever else
// slows us down. Packing pays where the line is the bottleneck, and the packer is not.

#ifndef PROTO_LINE_H
#define PROTO_LINE_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

struct line_sample { // since the connection came about
    uint64_t acked;  // bytes
    ns_t busy;       // there was something to send
};

struct line { // zero-initialised: nothing is known, nothing is packed
    struct line_sample last;
    ns_t at;
    double bytes_per_s; // while it was busy, at best lately; 0: not known
    double share;       // of the time that it was busy
    bool pack;
};

struct pack_meter { // how the packer does; zero-initialised: typical figures
    double bytes_per_s, ratio;
};
void pack_meter_add(struct pack_meter *m, uint64_t bytes, uint64_t packed, ns_t took);

// A look at the line; few bytes say nothing, and it stays as it was. `sharers`: so many
// lines share the packer, at least 1.
void line_look(struct line *l, const struct line_sample *s, const struct pack_meter *m,
               unsigned sharers, ns_t now);

#endif

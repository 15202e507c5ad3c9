// progress - tells a person, or a program, how a run is getting on.
//
// On a terminal one line that is rewritten; else a plain line every 10 s; as JSON one
// object a line. Lines of the run itself (warnings, retries) are printed through it too, so
// that they never mix with the bar.

#ifndef COORDINATOR_PROGRESS_H
#define COORDINATOR_PROGRESS_H

#include "common/clock.h"
#include "common/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress_view {
    uint64_t bytes_done, bytes_total; // total 0: unknown
    bool in_rows;                     // those bytes are rows of a source that has no bytes
    uint64_t rows, rejects;
    uint32_t workers, slots_busy;
    uint64_t failing;      // batches that failed, in which the rows at fault are looked for
    const char *waits_for; // when nothing moves; NULL otherwise
};

struct progress {
    enum job_progress mode;
    bool terminal, shown, quiet;
    const char *label; // borrowed; NULL: none
    ns_t started, next;
};

void progress_init(struct progress *p, enum job_progress mode, bool quiet, ns_t now);
// Of a step of a pipeline: its name stands before each line. Without a bar when others may
// run beside it, which have lines of their own.
void progress_label(struct progress *p, const char *label, bool bar);
// Shows the state when it is due. Returns when it is due next.
ns_t progress_tick(struct progress *p, const struct progress_view *v, ns_t now);
void progress_say(struct progress *p, const char *text); // a line on stderr
void progress_end(struct progress *p);                   // takes the bar away

// The bar's line, without terminal codes; for tests.
void progress_render(const struct progress *p, const struct progress_view *v, ns_t now,
                     char *out, size_t cap);
void progress_render_json(const struct progress *p, const struct progress_view *v, ns_t now,
                          char *out, size_t cap);

// "1,234,567", "96.8 MB", "1m 05s"
void format_count(uint64_t n, char *out, size_t cap);
void format_bytes(double n, char *out, size_t cap);
void format_seconds(double s, char *out, size_t cap);

#endif

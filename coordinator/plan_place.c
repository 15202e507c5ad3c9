#include "coordinator/plan_place.h"

#include "common/rejects.h"
#include "coordinator/source_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COUNTED_MOST = 1 << 30, BLOCK = 1 << 20 };

// The number of the line that begins at `byte`; 0: it cannot be told.
static uint64_t line_of(const struct source_input *in, uint64_t byte)
{
    if (!in->path || in->by_value || in->in_rows || byte > COUNTED_MOST) return 0;
    int fd = open(in->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uint8_t *block = malloc(BLOCK);
    uint64_t at = 0, lines = 1;
    while (fd >= 0 && block && at < byte) {
        size_t want = byte - at < BLOCK ? (size_t)(byte - at) : BLOCK;
        ssize_t n = pread(fd, block, want, (off_t)at);
        if (n <= 0) break;
        lines += source_count_lf(block, (size_t)n);
        at += (uint64_t)n;
    }
    free(block);
    if (fd >= 0) close(fd);
    return at == byte ? lines : 0;
}

void plan_place(const struct source *s, uint32_t input, uint64_t byte, char out[PLAN_PLACE])
{
    uint32_t n;
    const struct source_input *in = &source_inputs(s, &n)[input];
    uint64_t line = line_of(in, byte);
    const char *what = line ? "line" : in->in_rows ? "row" : "byte";
    snprintf(out, PLAN_PLACE, "%.200s, %s %llu", in->name, what,
             (unsigned long long)(line ? line : byte));
}

void plan_place_of_reject(const struct source *s, const struct excerpt *x,
                          const struct trial_reject *r, char out[PLAN_PLACE])
{
    uint32_t input = 0, n;
    uint64_t byte = r->byte;
    const struct source_input *in = source_inputs(s, &n);
    if (r->byte == REJECT_NO_BYTE)
        snprintf(out, PLAN_PLACE, "a row that the transforms made");
    else if (x->n && excerpt_origin(x, r->byte, &input, &byte))
        plan_place(s, input, byte, out);
    else if (r->line && n == 1) // of the input itself
        snprintf(out, PLAN_PLACE, "%.200s, line %llu", in->name,
                 (unsigned long long)r->line);
    else
        snprintf(out, PLAN_PLACE, "%s %llu", r->line ? "line" : "row",
                 (unsigned long long)(r->line ? r->line : r->byte));
}

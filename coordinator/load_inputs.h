// load_inputs - the inputs of a load as a ledger keeps them. It numbers them in the order
// in which it met them, whatever their order is today; their names tell which is which.

#ifndef COORDINATOR_LOAD_INPUTS_H
#define COORDINATOR_LOAD_INPUTS_H

#include "coordinator/warehouse.h"

MUST_CHECK err_t load_inputs_copy(struct load_input **to, const struct load_input *from,
                                  size_t n, struct err *e);
void load_inputs_free(struct load_input **v, size_t *n);
MUST_CHECK err_t load_inputs_add(struct load_input **v, size_t *n,
                                 const struct load_input *in, struct err *e);
// A JSON list of objects: name, size, mtime_ns, ino, data_begin, ctime_ns, by_value, end.
MUST_CHECK err_t load_inputs_json(const struct load_input *v, size_t n, struct buf *out,
                                  struct err *e);
// *ids: the number in `stored` of each input; new ones join it. *ids is malloced. ERR_DB:
// what is stored has an input without a name, or two with the same.
MUST_CHECK err_t load_inputs_match(struct load_input **stored, size_t *n_stored,
                                   const struct load_input *inputs, size_t n,
                                   uint32_t **ids, struct err *e);
// What the inputs look like now that all of them is in, up to end[i]: a later run compares
// with this.
void load_inputs_remember(struct load_input *stored, const struct load_input *inputs,
                          size_t n, const uint32_t *ids, const uint64_t *end);
// The number in `inputs` of each of the ledger's, -1 for those that are gone; malloced,
// NULL: no memory.
int64_t *load_inputs_numbers(const uint32_t *ids, size_t n, size_t n_stored);
// ERR_CHANGED: the header of an input of which rows are in has another length now.
MUST_CHECK err_t load_inputs_header_changed(const struct load_input *was,
                                            const struct load_input *is, struct err *e);
// `bytes` and `rows` of an input that is not given any more are in the ledger. ERR_CHANGED:
// they are not all of it.
MUST_CHECK err_t load_inputs_check_gone(const struct load_input *in, uint64_t load_id,
                                        uint64_t bytes, uint64_t rows, struct err *e);

// Says that another load, which is complete, has the input `name`. How many inputs are
// looked for: a glob may have thousands, and one that is known is enough to be told.
enum { LOAD_INPUTS_LOOK_AT = 16 };
void load_inputs_say_known(warehouse_say *say, void *arg, const char *place, uint64_t load,
                           const char *started, const char *name);

// ---- what every ledger says of a load

const char *load_mode_name(enum job_mode m); // "append", ...
// Who runs this: the host with digits for its boot and its numbers of processes, as in
// "anna (boot 1f0c2e44)", so that another with the same name is another; and the time as in
// "2026-11-22T01:42:05Z".
struct load_self {
    char host[256], when[32];
};
MUST_CHECK err_t load_self(struct load_self *out, struct err *e);
// One more row of the ledger; *cap is its room.
MUST_CHECK err_t load_state_add(struct load_state *s, size_t *cap,
                                const struct ledger_row *row, struct err *e);
// Fills s->inputs: those among the first n_known of `stored`.
MUST_CHECK err_t load_state_inputs(struct load_state *s, const struct load_input *stored,
                                   size_t n_known, const uint32_t *ids, size_t n,
                                   struct err *e);
// The counts of a row whose result is in already: those that the ledger has.
void load_counts_known(struct ledger_row *row, const struct ledger_row *known);
// ERR_DUP: `input` has `range` already, or a part of it.
MUST_CHECK err_t load_range_known(const char *input, struct range range, struct err *e);
// ERR_PROTO: there are rows without an image. Else as ledger_check_row and the next.
MUST_CHECK err_t load_check_counts(const struct result *r, struct err *e);
// ERR_PROTO: the list of rejects is damaged, or is not what the row counts.
MUST_CHECK err_t load_check_rejects(const struct result *r, struct err *e);

#endif

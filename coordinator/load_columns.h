// load_columns - columns of a load by their number in its schema: the key of an upsert, and
// those of the indexes that are built at its end.

#ifndef COORDINATOR_LOAD_COLUMNS_H
#define COORDINATOR_LOAD_COLUMNS_H

#include "common/batch.h"
#include "coordinator/warehouse.h"

struct load_columns {
    uint32_t *v;
    size_t n;
};
struct load_indexes {
    struct load_columns *v;
    size_t n;
};

// Every name is in the schema.
MUST_CHECK err_t load_columns_find(const struct schema *s, const struct strings *names,
                                   struct load_columns *out, struct err *e);
void load_columns_free(struct load_columns *c);
// TABLE_COLUMNS_END, as people name indexes; malloced. What is longer than `longest` bytes
// ends in digits of its hash instead; 0: nothing is too long.
MUST_CHECK err_t load_columns_index_name(const char *table, const struct schema *s,
                                         const struct load_columns *c, const char *end,
                                         size_t longest, char **out, struct err *e);
// In place of those that *x has.
MUST_CHECK err_t load_indexes_take(struct load_indexes *x, const struct schema *s,
                                   const struct strings *indexes, size_t n, struct err *e);
void load_indexes_free(struct load_indexes *x);

#endif

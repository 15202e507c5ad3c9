// sqlite_tree - a table's b-tree, written page after page into memory of fixed size.
//
// Leaves are filled one after another, an odd row's overflow pages stand where it was met,
// and the interior pages follow at the end.

#ifndef COMMON_SQLITE_TREE_H
#define COMMON_SQLITE_TREE_H

#include "common/sqlite_rows.h"

struct sqlite_tree_child { // a finished page of the level that is being built
    uint32_t page;
    uint32_t last_row;
};

struct sqlite_tree {
    uint8_t *p; // page 1 of the database
    size_t cap;
    uint32_t page_bytes;
    uint32_t pages; // so far
    uint32_t rows;  // so far: rowids are 1 to n

    // The open leaf grows from both ends: cell pointers up from `pointers`, cells down from
    // `content`.
    uint8_t *leaf;
    uint8_t *pointers, *content;
    uint32_t leaf_page, leaf_cells;

    struct sqlite_tree_child *child;
    size_t n_children, cap_children;
};

// Zero-initialised is a valid tree that can be started, and again after a finish or an
// error. The first leaf becomes page pages + 1. On page 1 the file header's room is left.
// ERR_TOOBIG, from each of them: no room.
MUST_CHECK err_t sqlite_tree_start(struct sqlite_tree *t, uint8_t *p, size_t cap,
                                   uint32_t page_bytes, uint32_t pages, struct err *e);
// Every row of the batch.
MUST_CHECK err_t sqlite_tree_batch(struct sqlite_tree *t, struct sqlite_rows *x,
                                   const struct batch *b, struct err *e);
// The odd row that sqlite_rows_long described.
MUST_CHECK err_t sqlite_tree_row(struct sqlite_tree *t, const struct sqlite_rows *x,
                                 struct err *e);
MUST_CHECK err_t sqlite_tree_finish(struct sqlite_tree *t, uint32_t *root, struct err *e);
void sqlite_tree_close(struct sqlite_tree *t);

#endif

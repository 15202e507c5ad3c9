// sqlite_view - a read transaction, and a proof of what it sees: two connections of one
// host that have the same proof see the same rows, whatever is written meanwhile.
//
// With a rollback journal the lock of a reader keeps all others from committing, so that
// page 1 of the file (sqlite.org/fileformat.html 1.3: the change counter) says which state
// it is. In WAL mode it is the header of the WAL index (sqlite.org/walformat.html 2.1),
// which every commit changes: it must be the same before and after the transaction began.

#ifndef COMMON_SQLITE_VIEW_H
#define COMMON_SQLITE_VIEW_H

#include "common/hash.h"

#include <sqlite3.h>
#include <stdbool.h>

// Begins a transaction that reads, to be held as long as the state is wanted. What SQLite
// says: SQLITE_OK, or an error without a transaction. *proof is zero when others commit
// so fast that nothing can be proven: the transaction sees one state all the same.
int sqlite_view_begin(sqlite3 *db, struct hash128 *proof);

static inline bool sqlite_view_proven(struct hash128 proof)
{
    return !hash_equal(proof, (struct hash128){ 0 });
}

#endif

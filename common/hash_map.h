// hash_map - uthash whose tables say that memory is out, instead of ending the process.
//
// After HASH_ADD(hh, head, ..., x) the element is in the table unless x->hh.tbl is NULL.

#ifndef COMMON_HASH_MAP_H
#define COMMON_HASH_MAP_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif

// page_memory - where SQLite keeps the pages of a table that is loaded: one block that the
// kernel may back with large pages of memory, so that not each of SQLite's costs a fault of
// its own (2 us, a tenth of what the loader has to do for small rows).

#ifndef COORDINATOR_PAGE_MEMORY_H
#define COORDINATOR_PAGE_MEMORY_H

#include <stdint.h>

enum {
    PAGE_MEMORY_PAGE = 16384,                  // bytes of a page of new databases
    PAGE_MEMORY_SLOT = PAGE_MEMORY_PAGE + 512, // with what SQLite keeps beside it
    PAGE_MEMORY_SLOTS = 2400,
};

// Before SQLite is used for the first time in this process. Without the block, or when it
// is full, pages come from malloc, as everything else of SQLite does.
void page_memory_open(void);
uint64_t page_memory_used(void); // slots in use

#endif

// region - memory of fixed size that somebody lends to be filled.

#ifndef COMMON_REGION_H
#define COMMON_REGION_H

#include <stddef.h>
#include <stdint.h>

struct region {
    uint8_t *p; // the lender's; 64-byte aligned, untouched pages cost nothing
    size_t cap;
    size_t n; // bytes filled
};

#endif

// reason - what kind of mistake a sentence about a failed row or batch tells of, so that
// equal mistakes are told and counted once.

#ifndef COMMON_REASON_H
#define COMMON_REASON_H

#include <stddef.h>

// Length of "FILE:LINE: TYPE" that the text begins with, as in "clean.py:6: ValueError:
// no date"; 0: it does not begin so.
size_t reason_place(const char *s);

// The sentence without what differs from row to row, cut to `cap` with its NUL: of a text
// with a place that place and the type; of another program's words these, on one line; of
// our own sentences all but values between quotes and bytes.
void reason_kind(const char *s, char *out, size_t cap);

#endif

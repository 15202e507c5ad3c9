// last_words - what of a program's stderr says why it failed.

#ifndef WORKER_LAST_WORDS_H
#define WORKER_LAST_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum { LAST_WORDS = 400 };

// UTF-8 text without control characters other than line ends and tabs. Of a text that
// ends with a Python traceback one line: "FILE:LINE: EXCEPTION", of the innermost frame
// that is none of Python's own or of an installed library (if all are: of the innermost
// one). Of others the last lines, as many as there is room for.
const char *last_words(const char *p, size_t n, char out[LAST_WORDS]);

// Whether they end with the traceback of an import that failed while modules were being
// loaded, before any function of the program was called: no row can be to blame for that.
bool last_words_lack_module(const char *p, size_t n);

#endif

// env_text - a text in which $NAME and ${NAME} stand for variables of the environment, and
// $$ for the character: how secrets come into a job without being written in it.

#ifndef COMMON_ENV_TEXT_H
#define COMMON_ENV_TEXT_H

#include "common/buf.h"
#include "common/err.h"

typedef const char *env_text_get(const char *name); // getenv, or the like; NULL: not set

// Appends the text to `out`. ERR_INVALID: a $ without a name, or a variable that is not
// set; the sentence has the name, never a value.
MUST_CHECK err_t env_text_expand(const char *text, env_text_get *get, struct buf *out,
                                 struct err *e);
// Whether the $ signs make sense, whatever is set.
MUST_CHECK err_t env_text_check(const char *text, struct err *e);

#endif

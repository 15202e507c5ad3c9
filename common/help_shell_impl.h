// help_shell_impl.h - what help_bash.c and help_zsh.c share. No one else includes it.

#ifndef COMMON_HELP_SHELL_IMPL_H
#define COMMON_HELP_SHELL_IMPL_H

#include "common/help_shell.h"

// The next item from *at on that is a flag; *at moves behind it. NULL: there is none.
const struct help_piece *help_next_flag(const struct help_text *h, size_t *at,
                                        struct help_flag *f);
// Likewise a word that stands behind the command: install, list, ...
const char *help_next_verb(const struct help_text *h, size_t *at);
bool help_takes_job(const struct help_text *h); // JOB.yaml stands in its usage
// _tranche_worker
void help_function(const char *program, char out[80]);

#endif

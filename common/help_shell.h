// help_shell - completions for bash and zsh, from what --help says: commands, flags, and
// the words or files that a flag or a command takes.

#ifndef COMMON_HELP_SHELL_H
#define COMMON_HELP_SHELL_H

#include "common/help_man.h"

// Of a program with commands, whose overview lists them.
MUST_CHECK err_t help_bash(struct buf *out, const char *program,
                           const struct help_text *overview, const struct help_command *v,
                           size_t n, struct err *e);
MUST_CHECK err_t help_zsh(struct buf *out, const char *program,
                          const struct help_text *overview, const struct help_command *v,
                          size_t n, struct err *e);
// Of one without.
MUST_CHECK err_t help_bash_plain(struct buf *out, const char *program,
                                 const struct help_text *help, struct err *e);
MUST_CHECK err_t help_zsh_plain(struct buf *out, const char *program,
                                const struct help_text *help, struct err *e);

#endif

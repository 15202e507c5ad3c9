// opt_doc - what the option table says to people: flags for --help, and docs/JOBFILE.md.

#ifndef COMMON_OPT_DOC_H
#define COMMON_OPT_DOC_H

#include "common/opt.h"

enum { OPT_HELP_WIDTH = 88 };

// The flags of a command (enum opt_command), grouped by section.
MUST_CHECK err_t opt_help(struct buf *out, unsigned command, struct err *e);

extern const char opt_preamble[]; // what the reference begins with, in Markdown
// Markdown: every key and flag.
MUST_CHECK err_t opt_reference(struct buf *out, struct err *e);

#endif

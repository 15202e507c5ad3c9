// help_text - what a program's --help says, in pieces: manual pages and completions are
// made of it, so that they know what the program knows.
//
// Help begins with "Usage: ", its lines below each other. Then come paragraphs at the left
// edge; headings, which end with ':', and below them, or below nothing, items: a tag two
// columns in (a flag without a letter six), at least two spaces or a new line, and a text,
// which may go on in further lines. Below "Examples:" lines stand as they are.

#ifndef COMMON_HELP_TEXT_H
#define COMMON_HELP_TEXT_H

#include "common/arena.h"
#include "common/buf.h"

#include <stdbool.h>

enum help_kind { HELP_PARAGRAPH, HELP_HEADING, HELP_ITEM, HELP_EXAMPLE };

struct help_piece {
    enum help_kind kind;
    const char *tag;  // ITEM: "-j, --workers N"
    const char *text; // on one line, single spaces; EXAMPLE: a line
};

struct help_text {
    struct arena mem;  // of all texts
    struct buf usages; // of const char *: a line each
    struct buf pieces; // of struct help_piece
};

MUST_CHECK err_t help_read(struct help_text *h, const char *text, struct err *e);
void help_free(struct help_text *h); // copes with one that was read half

size_t help_n_usages(const struct help_text *h);
const char *help_usage(const struct help_text *h, size_t i);
size_t help_n(const struct help_text *h);
const struct help_piece *help_at(const struct help_text *h, size_t i);
// The first piece behind this heading; help_n: there is none.
size_t help_below(const struct help_text *h, const char *heading);

struct help_flag {  // of a tag
    char letter;    // 0: none
    char name[64];  // without dashes; "": only a letter
    char value[64]; // "FILE"; "": it takes none
};
bool help_flag(const char *tag, struct help_flag *out); // false: the tag is none

// The words that a value may be, of "true|false|SIZE" these two: a space between, "" none.
void help_choices(const char *value, char *out, size_t size);
bool help_is_file(const char *value); // FILE, DIR, PROGRAM

#endif

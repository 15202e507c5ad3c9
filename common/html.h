// html - text of any origin inside a page of HTML or an SVG in it.
//
// Names of files and workers, reasons and what programs said were written by others, who
// may have put tags, scripts or broken bytes there.

#ifndef COMMON_HTML_H
#define COMMON_HTML_H

#include "common/buf.h"

#include <stdbool.h>

// The text, fit to stand between tags and in an attribute in double or single quotes: of
// elements that hold no script and no style, and of attributes that are no URL and no
// event. The characters & < > " ' become references; control characters (but tabs and line
// ends), broken UTF-8 and what turns the direction of text around become U+FFFD.
MUST_CHECK err_t html_text(struct buf *out, const char *s, struct err *e);
MUST_CHECK err_t html_text_n(struct buf *out, const char *s, size_t n, struct err *e);
// Whether the character s[0..n) would show what follows it in another order.
bool html_turns_text(const char *s, size_t n);

#endif

// url_template - an address with columns in it: https://host/api?x={id}.
//
// {name} stands for a value of the row, {{ and }} for the characters. A value is
// percent-escaped (RFC 3986: all but letters, digits and -._~), except where the template
// begins with it: {link} is a whole address, or the beginning of one, and stays as it is.

#ifndef COMMON_URL_TEMPLATE_H
#define COMMON_URL_TEMPLATE_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>

struct url_piece {
    char *text;  // as it is; of a column its name
    bool column; // a value stands here
};
struct url_template { // zero-initialised is a valid empty one
    struct url_piece *v;
    size_t n;
};

enum { URL_TEMPLATE_PIECES = 200 };

// ERR_INVALID: braces that do not match, no name between them, a space or a control
// character, or another scheme than http and https. `t` is freed by the caller in any case.
MUST_CHECK err_t url_template_parse(struct url_template *t, const char *text,
                                    struct err *e);
void url_template_free(struct url_template *t); // leaves a valid empty one

static inline bool url_template_escapes(const struct url_template *t, size_t piece)
{
    return t->v[piece].column && piece > 0;
}

MUST_CHECK err_t url_escape(struct buf *out, const uint8_t *p, size_t n, struct err *e);

#endif

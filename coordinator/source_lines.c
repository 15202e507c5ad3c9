// Text files of which each line is a row. The CSV splitter without quotes cuts at every LF;
// the delimiter it needs is a character that text does not have, and nothing depends on it.

#include "coordinator/source_impl.h"

#include <string.h>

enum { UNIT_SEPARATOR = 0x1f };

static err_t lines_open(struct source *s, const struct job *j, struct err *e)
{
    struct job as_csv = *j; // borrows: not freed
    static char name[] = "line", *line[] = { name };
    as_csv.delimiter = UNIT_SEPARATOR;
    as_csv.quote = 0;
    as_csv.header = HEADER_NAMES;
    as_csv.header_names = (struct strings){ line, 1 };
    as_csv.nulls_given = false;
    return text_open(s, &as_csv, e);
}

static err_t lines_infer(struct source *s, const struct job *j, struct schema *out,
                         struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    TRY(text_infer(s, j, out, trial, estimate_rows, e));
    out->f[0].type = TYPE_TEXT; // "17" is a line like any other
    return ERR_OK;
}

const struct source_ops source_lines = {
    .reader = "lines",
    .open = lines_open,
    .names = text_names,
    .infer = lines_infer,
    .skip = text_skip,
    .next = text_next,
    .reread = text_reread,
    .halve = text_halve,
    .close = text_close,
};

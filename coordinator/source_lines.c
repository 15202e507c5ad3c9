// Text files of which each line is a row, or a JSON value. The CSV splitter without quotes
// cuts at every LF; the delimiter it needs is a character that text does not have, and
// nothing depends on it.

#include "coordinator/source_impl.h"

#include <string.h>

enum { UNIT_SEPARATOR = 0x1f };

static err_t open_with(struct source *s, const struct job *j, const struct strings *columns,
                       struct err *e)
{
    static char line[] = "line", *names[] = { line };
    struct job as_csv = *j; // borrows: not freed
    as_csv.delimiter = UNIT_SEPARATOR;
    as_csv.quote = 0;
    as_csv.header = HEADER_NAMES;
    as_csv.header_names = columns->n ? *columns : (struct strings){ names, 1 };
    as_csv.nulls_given = false;
    return text_open(s, &as_csv, e);
}

static err_t lines_open(struct source *s, const struct job *j, struct err *e)
{
    static const struct strings none;
    return open_with(s, j, &none, e);
}

static err_t jsonl_open(struct source *s, const struct job *j, struct err *e)
{
    TRY(json_line_new(&s->json, &j->fields, e));
    if (j->list) TRY(json_line_by_list(s->json, j->list, e));
    return open_with(s, j, &j->fields, e);
}

static err_t lines_infer(struct source *s, const struct job *j, struct schema *out,
                         struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    TRY(text_infer(s, j, out, trial, estimate_rows, e));
    if (!out->f[0].given) out->f[0].type = TYPE_TEXT; // "17" is a line like any other
    return ERR_OK;
}

static err_t jsonl_infer(struct source *s, const struct job *j, struct schema *out,
                         struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    return j->fields.n ? text_infer(s, j, out, trial, estimate_rows, e)
                       : lines_infer(s, j, out, trial, estimate_rows, e);
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

const struct source_ops source_jsonl = {
    .reader = "jsonl",
    .open = jsonl_open,
    .names = text_names,
    .infer = jsonl_infer,
    .skip = text_skip,
    .next = text_next,
    .reread = text_reread,
    .halve = text_halve,
    .close = text_close,
};

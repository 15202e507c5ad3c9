#include "coordinator/ledger.h"

#include <inttypes.h>
#include <string.h>

#define COUNT_MAX ((uint64_t)1 << 48) // of one chunk; sums stay far from overflow

static const char *const NAMES[] = {
    [LEDGER_DONE] = "done", [LEDGER_SPLIT] = "split", [LEDGER_REJECTED] = "rejected"
};

const char *ledger_state_name(enum ledger_state s)
{
    return NAMES[s];
}

bool ledger_state_parse(const char *name, enum ledger_state *out)
{
    for (enum ledger_state s = LEDGER_DONE; s <= LEDGER_REJECTED; s++)
        if (strcmp(name, NAMES[s]) == 0) {
            *out = s;
            return true;
        }
    return false;
}

bool ledger_forbids(struct range have, enum ledger_state state, struct range r)
{
    return state == LEDGER_SPLIT ? range_contains(r, have) : range_overlaps(have, r);
}

err_t ledger_check_row(const struct ledger_row *row, struct err *e)
{
    if (row->range.begin >= row->range.end || row->range.end > INT64_MAX)
        return err_set(e, ERR_PROTO, "bytes %" PRIu64 " to %" PRIu64 " are no range",
                       row->range.begin, row->range.end);
    const uint64_t counts[] = { row->records,     row->lines,         row->rows_read,
                                row->rows_parsed, row->rows_rejected, row->rows_emitted,
                                row->misfits };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i] > COUNT_MAX)
            return err_set(e, ERR_PROTO, "a count of %" PRIu64 " is absurd", counts[i]);
    if (row->rows_read != row->rows_parsed + row->rows_rejected)
        return err_set(e, ERR_PROTO,
                       "%" PRIu64 " rows read are not %" PRIu64 " parsed and %" PRIu64
                       " rejected",
                       row->rows_read, row->rows_parsed, row->rows_rejected);
    return ERR_OK;
}

err_t ledger_check_stored(const struct ledger_row *row, struct err *e)
{
    struct err why = { 0 };
    err_t rc = ledger_check_row(row, &why);
    if (rc == ERR_OK && row->rows_emitted != row->rows_loaded + row->rows_refused)
        rc = err_set(&why, ERR_DB, "%" PRIu64 " rows are not %" PRIu64 " and %" PRIu64,
                     row->rows_emitted, row->rows_loaded, row->rows_refused);
    if (rc == ERR_OK && (row->rows_loaded > COUNT_MAX || row->rows_refused > COUNT_MAX ||
                         row->rows_replaced > COUNT_MAX || row->rows_skipped > COUNT_MAX))
        rc = err_set(&why, ERR_DB, "a count of it is absurd");
    if (rc == ERR_OK) return ERR_OK;
    return err_set(e, ERR_DB,
                   "tranche_ledger is damaged at bytes %" PRIu64 " to %" PRIu64
                   ": %s. Bring the database back from a copy, or start over with --fresh",
                   row->range.begin, row->range.end, why.text);
}

int ledger_compare(const void *a, const void *b)
{
    const struct range *x = &((const struct ledger_row *)a)->range;
    const struct range *y = &((const struct ledger_row *)b)->range;
    if (x->input != y->input) return x->input < y->input ? -1 : 1;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

err_t ledger_proof_start(struct ledger_proof *p, const char *name, uint32_t input,
                         uint64_t begin, uint64_t end, struct err *e)
{
    *p = (struct ledger_proof){ .name = name, .at = begin, .end = end };
    p->total.state = LEDGER_DONE;
    p->total.range = (struct range){ input, begin, end };
    if (end < begin)
        return err_set(e, ERR_DB,
                       "%s: its end %" PRIu64 " lies before its first byte %" PRIu64, name,
                       end, begin);
    return ERR_OK;
}

static void sum(struct ledger_row *total, const struct ledger_row *row)
{
    total->records += row->records;
    total->lines += row->lines;
    total->unterminated |= row->unterminated;
    total->rows_read += row->rows_read;
    total->rows_parsed += row->rows_parsed;
    total->rows_rejected += row->rows_rejected;
    total->rows_emitted += row->rows_emitted;
    total->rows_loaded += row->rows_loaded;
    total->rows_refused += row->rows_refused;
    total->rows_replaced += row->rows_replaced;
    total->rows_skipped += row->rows_skipped;
    total->misfits += row->misfits;
}

err_t ledger_proof_add(struct ledger_proof *p, const struct ledger_row *row, struct err *e)
{
    if (row->state == LEDGER_SPLIT) return ERR_OK;
    if (row->range.begin > p->at)
        return err_set(e, ERR_DB,
                       "%s: bytes %" PRIu64 " to %" PRIu64
                       " were never committed: run the same command again",
                       p->name, p->at, row->range.begin);
    if (row->range.begin < p->at || row->range.end > p->end)
        return err_set(
            e, ERR_DB,
            "%s: the ledger has bytes %" PRIu64 " to %" PRIu64
            ", which overlap what stands before them or pass the end at %" PRIu64,
            p->name, row->range.begin, row->range.end, p->end);
    if (row->rows_emitted != row->rows_loaded + row->rows_refused ||
        row->rows_read != row->rows_parsed + row->rows_rejected)
        return err_set(e, ERR_DB,
                       "%s: the counts of bytes %" PRIu64 " to %" PRIu64 " do not add up",
                       p->name, row->range.begin, row->range.end);
    p->at = row->range.end;
    sum(&p->total, row);
    return ERR_OK;
}

err_t ledger_proof_end(struct ledger_proof *p, struct err *e)
{
    if (p->at != p->end)
        return err_set(e, ERR_DB,
                       "%s: bytes %" PRIu64 " to %" PRIu64
                       " were never committed: run the same command again",
                       p->name, p->at, p->end);
    return ERR_OK;
}

// Chunks read again, and cut in two.

#include "coordinator/source_impl.h"

#include <stdlib.h>
#include <string.h>

static err_t changed(const struct source_input *in, struct range r, struct err *e)
{
    return err_set(e, ERR_CHANGED,
                   "%s changed during the run: bytes %llu-%llu are others now", in->name,
                   (unsigned long long)r.begin, (unsigned long long)r.end);
}

// Where to cut: the record boundary nearest the middle, 0 when there is none inside.
static err_t middle(const struct csv_dialect *d, const uint8_t *p, size_t n, size_t *at,
                    struct err *e)
{
    struct csv_split s;
    struct csv_cut cut;
    size_t half = n / 2, used, after = 0;
    bool found = false;
    csv_split_init(&s, d, 0, 0);
    // A target past the end finds no cut, but learns where the record at `half` begins.
    *at = 0;
    err_t rc = csv_split_feed(&s, p, half, UINT64_MAX, &used, &found, &cut, e);
    if (rc == ERR_PARSE) return ERR_OK; // a bad chunk is one record
    TRY(rc);
    size_t before = (size_t)s.record_begin;
    if (before == half) {
        *at = half;
        return ERR_OK;
    }
    rc = csv_split_feed(&s, p + half, n - half, 1, &used, &found, &cut, e);
    if (rc != ERR_OK && rc != ERR_PARSE) return rc;
    after = found && half + used < n ? half + used : 0;
    if (before && (!after || half - before <= after - half))
        *at = before;
    else
        *at = after;
    return ERR_OK;
}

// The chunk of whole records, or of one without an end.
static err_t describe(const struct source *s, const uint8_t *p, struct range r,
                      uint64_t first_line, bool keep, struct chunk_data **out,
                      struct err *e)
{
    struct csv_split split;
    struct csv_cut cut;
    size_t n = (size_t)(r.end - r.begin), used;
    bool found;
    csv_split_init(&split, &s->dialect, r.begin, first_line - 1);
    err_t rc = csv_split_feed(&split, p, n, UINT64_MAX, &used, &found, &cut, e);
    if (rc == ERR_OK) rc = csv_split_finish(&split, &found, &cut, e);
    if (rc == ERR_PARSE) { // of a bad chunk
        cut.records = split.open.records + 1;
        cut.lines = source_count_lf(p, n);
        cut.unterminated = true;
        rc = ERR_OK;
    }
    TRY(rc);
    struct chunk_data *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "out of memory");
    *d = (struct chunk_data){
        .range = r,
        .records = cut.records,
        .lines = cut.lines,
        .first_line = first_line,
        .unterminated = cut.unterminated,
        .digest = hash_bytes(p, n),
    };
    if (keep) {
        d->block = source_block(n);
        if (!d->block) {
            free(d);
            return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", n);
        }
        d->bytes = d->block + CSV_PAD;
        d->held = n;
        memcpy(d->bytes, p, n);
    }
    *out = d;
    return ERR_OK;
}

static err_t halve(const struct source *s, const uint8_t *p, struct range r,
                   uint64_t first_line, bool keep, struct chunk_data *out[2], struct err *e)
{
    size_t at;
    TRY(middle(&s->dialect, p, (size_t)(r.end - r.begin), &at, e));
    struct range left = r, right = r;
    if (at) left.end = right.begin = r.begin + at;
    TRY(describe(s, p, left, first_line, keep, &out[0], e));
    if (!at) return ERR_OK;
    err_t rc = describe(s, p + at, right, first_line + out[0]->lines, keep, &out[1], e);
    if (rc != ERR_OK) chunk_data_free(&out[0]);
    return rc;
}

static err_t read_again(const struct source_input *in, struct range r,
                        struct hash128 digest, uint8_t **block, struct err *e)
{
    size_t n = (size_t)(r.end - r.begin), got = 0;
    struct stream *file;
    TRY(source_reopen(in, &file, e));
    const struct stat *st = stream_stat(file);
    err_t rc = ERR_OK;
    *block = NULL;
    if (st->st_dev != in->dev || st->st_ino != in->ino)
        rc = err_set(e, ERR_CHANGED, "%s was replaced by another file during the run",
                     in->name);
    else if (r.end > (uint64_t)st->st_size)
        rc = changed(in, r, e);
    else if (!(*block = source_block(n)))
        rc = err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", n);
    if (rc == ERR_OK)
        rc = stream_pread(stream_fd(file), in->name, *block + CSV_PAD, n, r.begin, &got, e);
    if (rc == ERR_OK && (got < n || !hash_equal(hash_bytes(*block + CSV_PAD, n), digest)))
        rc = changed(in, r, e);
    stream_close(&file);
    if (rc == ERR_OK) return ERR_OK;
    free(*block);
    *block = NULL;
    return rc;
}

err_t text_reread(const struct source *s, struct range r, uint64_t first_line,
                  struct hash128 digest, bool halves, struct chunk_data *out[2],
                  struct err *e)
{
    if (r.end - r.begin > UINT32_MAX)
        return err_set(e, ERR_TOOBIG, "%s: bytes %llu-%llu are too many to read again",
                       s->in[r.input].name, (unsigned long long)r.begin,
                       (unsigned long long)r.end);
    uint8_t *block;
    TRY(read_again(&s->in[r.input], r, digest, &block, e));
    err_t rc = halves ? halve(s, block + CSV_PAD, r, first_line, false, out, e)
                      : describe(s, block + CSV_PAD, r, first_line, false, &out[0], e);
    if (rc == ERR_OK && !halves) {
        out[0]->block = block;
        out[0]->bytes = block + CSV_PAD;
        out[0]->held = (size_t)(r.end - r.begin);
        block = NULL;
    }
    free(block);
    return rc;
}

err_t text_halve(const struct source *s, const struct chunk_data *c,
                 struct chunk_data *out[2], struct err *e)
{
    if (c->held == c->range.end - c->range.begin)
        return halve(s, c->bytes, c->range, c->first_line, true, out, e);
    if (!c->held)
        return err_set(e, ERR_INVALID,
                       "the bytes of this chunk are not at hand: read it again");
    struct chunk_data *copy = malloc(sizeof *copy);
    uint8_t *block = source_block(c->held);
    if (!copy || !block) {
        free(copy);
        free(block);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    memcpy(block + CSV_PAD, c->bytes, c->held);
    *copy = *c;
    copy->block = block;
    copy->bytes = block + CSV_PAD;
    out[0] = copy;
    return ERR_OK;
}

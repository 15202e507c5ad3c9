// text_next: walks through the inputs, past what is committed, and cuts the gaps between.
//
//   begin_input -> to_next_gap -> (fill, feed)* -> a chunk ... end_gap -> to_next_gap ...
//   over

#include "common/rejects.h"
#include "coordinator/source_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct source_input *input_of(const struct source *s)
{
    return &s->in[s->cut.input];
}

static bool by_value(const struct source *s)
{
    return input_of(s)->by_value;
}

static unsigned long long ull(uint64_t n)
{
    return n;
}

static err_t begin_input(struct source *s, struct err *e)
{
    struct cutter *c = &s->cut;
    if (!c->hash) c->hash = hash_stream_new();
    if (!c->hash) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(source_begin(s, c->input, &c->stream, e));
    c->at = input_of(s)->data_begin;
    c->lines = input_of(s)->header_lines;
    c->next_done = 0;
    c->in_gap = false;
    c->base = c->fed = c->have = 0;
    return ERR_OK;
}

static void end_input(struct source *s)
{
    stream_close(&s->cut.stream);
    s->cut.input++;
}

// ---- what is committed already ----

static err_t pass_by(struct source *s, const struct committed *d, struct err *e)
{
    struct cutter *c = &s->cut;
    uint8_t scratch[16 << 10];
    hash_stream_reset(c->hash);
    while (c->at < d->range.end) {
        uint64_t left = d->range.end - c->at;
        size_t got, want = left < sizeof scratch ? (size_t)left : sizeof scratch;
        TRY(stream_read(c->stream, scratch, want, &got, e));
        if (got == 0)
            return err_set(
                e, ERR_CHANGED,
                "%s changed: it ends at byte %llu, but bytes %llu-%llu of it were "
                "loaded; --fresh starts over",
                input_of(s)->name, ull(c->at), ull(d->range.begin), ull(d->range.end));
        hash_stream_add(c->hash, scratch, got);
        c->at += got;
    }
    if (hash_equal(hash_stream_value(c->hash), d->digest)) return ERR_OK;
    return err_set(
        e, ERR_CHANGED,
        "%s changed: bytes %llu-%llu are not what was loaded; --fresh starts over",
        input_of(s)->name, ull(d->range.begin), ull(d->range.end));
}

// What a reader takes for no row. In a table of one column a blank line is a NULL.
static enum csv_blank blank_lines(const struct source *s)
{
    if (s->ops == &source_jsonl) return CSV_BLANK_OF_SPACES;
    return s->ops == &source_csv && s->names.n > 1 ? CSV_BLANK_EMPTY : CSV_BLANK_IS_ROW;
}

static err_t to_next_gap(struct source *s, struct err *e)
{
    struct cutter *c = &s->cut;
    const struct input_more *m = &s->more[c->input];
    while (c->next_done < m->n_done && m->done[c->next_done].range.begin == c->at) {
        const struct committed *d = &m->done[c->next_done++];
        if (by_value(s))
            TRY(pass_by(s, d, e));
        else
            stream_seek(c->stream, d->range.end);
        c->at = d->range.end;
        c->lines += d->lines;
    }
    c->gap_end = c->next_done < m->n_done ? m->done[c->next_done].range.begin : UINT64_MAX;
    c->in_gap = true;
    c->base = c->fed = c->have = 0;
    csv_split_init(&c->split, &s->dialect, c->at, c->lines);
    c->split.blank_lines = blank_lines(s);
    hash_stream_reset(c->hash);
    return ERR_OK;
}

// ---- bytes ----

static err_t fill_by_reference(struct source *s, struct err *e)
{
    struct cutter *c = &s->cut;
    uint64_t size = input_of(s)->size;
    uint64_t stop = c->gap_end < size ? c->gap_end : size;
    size_t got, want = stop - c->at < READ_BYTES ? (size_t)(stop - c->at) : READ_BYTES;
    if (!c->block) {
        c->block = source_block(READ_BYTES);
        c->cap = READ_BYTES;
    }
    if (!c->block) return err_set(e, ERR_NOMEM, "out of memory");
    c->fed = c->have = 0;
    TRY(stream_read(c->stream, c->block + CSV_PAD, want, &got, e));
    if (got < want)
        return err_set(e, ERR_CHANGED,
                       "%s was truncated during the run: bytes %llu-%llu are gone",
                       input_of(s)->name, ull(c->at + got), ull(size));
    c->have = got;
    return ERR_OK;
}

// Room for one more read behind the open chunk, which moves to the front.
static err_t make_room(struct cutter *c, uint64_t target, struct err *e)
{
    size_t open = c->have - c->base;
    if (!c->block || open + READ_BYTES > c->cap) {
        size_t cap = 2 * open;
        if (cap < target + READ_BYTES) cap = (size_t)target + READ_BYTES;
        if (cap < open + READ_BYTES) cap = open + READ_BYTES;
        uint8_t *p = source_block(cap);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", cap);
        if (open) memcpy(p + CSV_PAD, c->block + CSV_PAD + c->base, open);
        free(c->block);
        c->block = p;
        c->cap = cap;
    } else if (c->base) {
        memmove(c->block + CSV_PAD, c->block + CSV_PAD + c->base, open);
    }
    c->fed -= c->base;
    c->have = open;
    c->base = 0;
    return ERR_OK;
}

static err_t fill_by_value(struct source *s, uint64_t target, struct err *e)
{
    struct cutter *c = &s->cut;
    const struct input_more *m = &s->more[c->input];
    size_t got,
        want = c->gap_end - c->at < READ_BYTES ? (size_t)(c->gap_end - c->at) : READ_BYTES;
    TRY(make_room(c, target, e));
    TRY(stream_read(c->stream, c->block + CSV_PAD + c->have, want, &got, e));
    if (got < want && c->gap_end != UINT64_MAX)
        return err_set(
            e, ERR_CHANGED,
            "%s changed: it ends at byte %llu, but more of it was loaded; --fresh "
            "starts over",
            input_of(s)->name, ull(c->at + got));
    if (got && c->next_done && c->at == m->done[c->next_done - 1].range.end &&
        m->done[c->next_done - 1].unterminated)
        return err_set(
            e, ERR_CHANGED,
            "%s grew after byte %llu, where its last line had no line end when it "
            "was loaded; --fresh starts over",
            input_of(s)->name, ull(c->at));
    c->have += got;
    return ERR_OK;
}

// *end: nothing was left to read before the gap's or the input's end.
static err_t fill(struct source *s, uint64_t target, bool *end, struct err *e)
{
    struct cutter *c = &s->cut;
    size_t before = by_value(s) ? c->have - c->base : 0;
    TRY(by_value(s) ? fill_by_value(s, target, e) : fill_by_reference(s, e));
    *end = c->have == before;
    c->at += c->have - before;
    return ERR_OK;
}

// ---- chunks ----

// The open chunk's bytes leave the cutter. Whichever is the smaller part is copied.
static err_t hand_over_bytes(struct cutter *c, struct chunk_data *out, struct err *e)
{
    size_t n = c->fed - c->base, rest = c->have - c->fed;
    if (n <= rest || n < c->cap / 2) {
        out->block = source_block(n);
        if (!out->block) return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", n);
        memcpy(out->block + CSV_PAD, c->block + CSV_PAD + c->base, n);
        out->bytes = out->block + CSV_PAD;
        c->base = c->fed;
    } else {
        size_t cap = rest + READ_BYTES;
        uint8_t *p = source_block(cap);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", cap);
        memcpy(p + CSV_PAD, c->block + CSV_PAD + c->fed, rest);
        out->block = c->block;
        out->bytes = c->block + CSV_PAD + c->base;
        c->block = p;
        c->cap = cap;
        c->have = rest;
        c->base = c->fed = 0;
    }
    out->held = n;
    return ERR_OK;
}

static err_t new_chunk(const struct source *s, const struct csv_cut *cut,
                       struct hash128 digest, struct chunk_data **out, struct err *e)
{
    struct chunk_data *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "out of memory");
    *d = (struct chunk_data){
        .range = { s->cut.input, cut->begin, cut->end },
        .records = cut->records,
        .lines = cut->lines,
        .first_line = s->cut.lines + 1,
        .unterminated = cut->unterminated,
        .digest = digest,
    };
    *out = d;
    return ERR_OK;
}

static err_t emit(struct source *s, const struct csv_cut *cut, struct chunk_data **out,
                  struct err *e)
{
    struct cutter *c = &s->cut;
    struct chunk_data *d;
    TRY(new_chunk(s, cut, hash_stream_value(c->hash), &d, e));
    if (by_value(s)) {
        assert(c->fed - c->base == cut->end - cut->begin);
        err_t rc = hand_over_bytes(c, d, e);
        if (rc != ERR_OK) {
            chunk_data_free(&d);
            return rc;
        }
    }
    hash_stream_reset(c->hash);
    c->lines += cut->lines;
    *out = d;
    return ERR_OK;
}

// The whole records of an open chunk that ends in the middle of one: the running digest has
// gone too far.
static err_t emit_before(struct source *s, const struct csv_cut *cut,
                         struct chunk_data **out, struct err *e)
{
    struct cutter *c = &s->cut;
    if (by_value(s)) {
        c->fed = c->base + (size_t)(cut->end - cut->begin);
        hash_stream_reset(c->hash);
        hash_stream_add(c->hash, c->block + CSV_PAD + c->base, c->fed - c->base);
        return emit(s, cut, out, e);
    }
    struct hash128 digest;
    TRY(source_digest(input_of(s), stream_fd(c->stream), cut->begin, cut->end, &digest,
                      NULL, e));
    TRY(new_chunk(s, cut, digest, out, e));
    c->lines += cut->lines;
    return ERR_OK;
}

// ---- a record without an end ----

static err_t bad_by_reference(struct source *s, struct chunk_data *bad, struct err *e)
{
    const struct source_input *in = input_of(s);
    int fd = stream_fd(s->cut.stream);
    uint64_t begin = bad->range.begin, n = in->size - begin;
    size_t got, want = n < REJECT_RAW_MAX ? (size_t)n : REJECT_RAW_MAX;
    bad->range.end = in->size;
    bad->block = source_block(want);
    if (!bad->block) return err_set(e, ERR_NOMEM, "out of memory");
    bad->bytes = bad->block + CSV_PAD;
    TRY(stream_pread(fd, in->name, bad->bytes, want, begin, &got, e));
    bad->held = got;
    TRY(source_digest(in, fd, begin, in->size, &bad->digest, &bad->lines, e));
    bool grown; // what is there more is left to a later run, which will not like it
    return source_check_same(in, fd, &grown, e);
}

// Its first bytes are in the block from `base` on; the rest of the stream is read and
// forgotten.
static err_t bad_by_value(struct source *s, struct chunk_data *bad, struct err *e)
{
    struct cutter *c = &s->cut;
    size_t n = c->have - c->base;
    const uint8_t *p = c->block + CSV_PAD + c->base;
    size_t keep = n < REJECT_RAW_MAX ? n : REJECT_RAW_MAX;
    bad->block = source_block(keep);
    if (!bad->block) return err_set(e, ERR_NOMEM, "out of memory");
    bad->bytes = bad->block + CSV_PAD;
    bad->held = keep;
    memcpy(bad->bytes, p, keep);
    hash_stream_reset(c->hash);
    uint8_t *rest = c->block + CSV_PAD;
    for (size_t got = n;;) {
        hash_stream_add(c->hash, p, got);
        bad->lines += source_count_lf(p, got);
        p = rest;
        TRY(stream_read(c->stream, rest, c->cap, &got, e));
        if (got == 0) break;
        c->at += got;
    }
    bad->range.end = c->at;
    bad->digest = hash_stream_value(c->hash);
    return ERR_OK;
}

// `e` holds the splitter's sentence. The records before go first, if there are any.
static err_t on_bad_record(struct source *s, struct chunk_data **out, struct err *e)
{
    struct cutter *c = &s->cut;
    struct csv_cut before, bad = { .records = 1, .unterminated = true };
    if (c->gap_end != UINT64_MAX)
        return err_set(
            e, ERR_CHANGED,
            "%s changed: no record ends at byte %llu, where what was loaded before "
            "begins; --fresh starts over",
            input_of(s)->name, ull(c->gap_end));
    (void)err_wrap(e, ERR_PARSE, "%s", input_of(s)->name);
    if (e) c->bad_why = *e;
    if (csv_split_before_bad(&c->split, &before, &bad.begin))
        TRY(emit_before(s, &before, out, e));
    bad.end = bad.begin + 1;
    err_t rc = new_chunk(s, &bad, (struct hash128){ 0 }, &c->bad, e);
    if (rc == ERR_OK)
        rc = by_value(s) ? bad_by_value(s, c->bad, e) : bad_by_reference(s, c->bad, e);
    if (rc != ERR_OK) {
        chunk_data_free(out);
        return rc;
    }
    s->in[c->input].data_end = c->bad->range.end;
    return ERR_OK;
}

// ---- ends ----

static err_t end_inner_gap(struct source *s, struct chunk_data **out, struct err *e)
{
    struct cutter *c = &s->cut;
    struct csv_cut cut;
    bool found;
    err_t rc = csv_split_finish(&c->split, &found, &cut, e);
    if (rc == ERR_PARSE || (rc == ERR_OK && found && cut.unterminated))
        return err_set(
            e, ERR_CHANGED,
            "%s changed: no record ends at byte %llu, where what was loaded before "
            "begins; --fresh starts over",
            input_of(s)->name, ull(c->gap_end));
    if (rc == ERR_OK && found) rc = emit(s, &cut, out, e);
    return rc;
}

static err_t end_last_gap(struct source *s, struct chunk_data **out, struct err *e)
{
    struct cutter *c = &s->cut;
    struct csv_cut cut;
    uint64_t record;
    bool found, grown = false;
    s->in[c->input].data_end = c->at;
    if (stream_kind(c->stream) != STREAM_PIPE)
        TRY(source_check_same(input_of(s), stream_fd(c->stream), &grown, e));
    if (grown) { // a record that was being written when the file was opened
        found = csv_split_before_bad(&c->split, &cut, &record);
        s->in[c->input].data_end = record;
        return found ? emit_before(s, &cut, out, e) : ERR_OK;
    }
    err_t rc = csv_split_finish(&c->split, &found, &cut, e);
    if (rc == ERR_PARSE) return on_bad_record(s, out, e);
    if (rc == ERR_OK && found) rc = emit(s, &cut, out, e);
    return rc;
}

static err_t feed(struct source *s, const uint8_t *p, size_t n, uint64_t target,
                  size_t *used, bool *found, struct csv_cut *cut, struct err *e)
{
    struct csv_split *split = &s->cut.split;
    if (!s->batch_rows) return csv_split_feed(split, p, n, target, used, found, cut, e);
    uint64_t most = s->batch_bytes_most < TARGET_MAX ? s->batch_bytes_most : TARGET_MAX;
    return csv_split_feed_records(split, p, n, s->batch_rows, most, used, found, cut, e);
}

// One chunk, or *over.
static err_t cut_input(struct source *s, const _Atomic uint64_t *target_bytes,
                       struct chunk_data **out, bool *over, struct err *e)
{
    struct cutter *c = &s->cut;
    *over = false;
    if (!c->in_gap) TRY(to_next_gap(s, e));
    for (;;) {
        uint64_t target = atomic_load_explicit(target_bytes, memory_order_relaxed);
        if (target > TARGET_MAX) target = TARGET_MAX;
        if (s->batch_rows) target = 0; // of which nothing is known
        if (c->fed == c->have) {
            bool end;
            TRY(fill(s, target, &end, e));
            if (end) {
                bool last = c->gap_end == UINT64_MAX;
                c->in_gap = false;
                *over = last;
                return last ? end_last_gap(s, out, e) : end_inner_gap(s, out, e);
            }
        }
        const uint8_t *p = c->block + CSV_PAD + c->fed;
        struct csv_cut cut;
        size_t used;
        bool found;
        err_t rc = feed(s, p, c->have - c->fed, target, &used, &found, &cut, e);
        if (rc == ERR_PARSE) {
            *over = true;
            return on_bad_record(s, out, e);
        }
        if (rc != ERR_OK) return rc;
        hash_stream_add(c->hash, p, used);
        c->fed += used;
        if (found) return emit(s, &cut, out, e);
    }
}

err_t text_next(struct source *s, const _Atomic uint64_t *target_bytes,
                struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    struct cutter *c = &s->cut;
    for (;;) {
        if (c->bad) {
            *bad = c->bad;
            c->bad = NULL;
            if (e) *e = c->bad_why;
            return ERR_PARSE;
        }
        if (c->input == s->n) return ERR_OK;
        if (!c->stream) TRY(begin_input(s, e));
        bool over;
        TRY(cut_input(s, target_bytes, out, &over, e));
        if (over) end_input(s);
        if (*out) return ERR_OK;
    }
}

#include "common/csv_split.h"

#include "common/csv_simd.h"

#include <string.h>

enum { DULL_LEAST = 256 }; // fewer bytes are not worth a pass of their own

void csv_split_init(struct csv_split *s, const struct csv_dialect *d, uint64_t offset,
                    uint64_t lines)
{
    *s = (struct csv_split){ .offset = offset,
                             .record_begin = offset,
                             .lines_before = lines };
    s->open = (struct csv_cut){ .begin = offset, .end = offset };
    csv_scan_init(&s->scan, d, NULL);
}

// Takes n bytes into the open chunk, whatever they are.
static void take(struct csv_split *s, const uint8_t *p, size_t n)
{
    struct csv_tally t;
    s->scan.ops->tally(&s->scan, p, n, &t);
    if (t.end_at != CSV_NONE) {
        s->record_begin = s->offset + t.end_at + 1;
        s->record_line_delta = s->open.lines + t.end_lfs + 1;
    }
    if (t.open_at != CSV_NONE) {
        s->quote_at = s->offset + t.open_at;
        s->quote_line = s->lines_before + s->open.lines + t.open_lfs;
    }
    s->open.records += t.ends;
    s->open.lines += t.lfs;
    s->offset += n;
}

// Takes the bytes up to and with the first record end: false, and all n, when there is
// none.
static bool take_record(struct csv_split *s, const uint8_t *p, size_t n, size_t *taken)
{
    struct csv_scan ahead = s->scan;
    *taken = n;
    bool found = false;
    for (size_t i = 0; i < n && !found; i += 64) {
        struct csv_block b = csv_scan_block(&ahead, p + i, n - i < 64 ? n - i : 64);
        found = b.end != 0;
        if (found) *taken = i + (size_t)__builtin_ctzll(b.end) + 1;
    }
    take(s, p, *taken);
    return found;
}

// ---- blank lines ----

static bool is_blank(const struct csv_split *s, uint8_t c)
{
    return c == '\n' || c == '\r' ||
           (s->blank_lines == CSV_BLANK_OF_SPACES && (c == ' ' || c == '\t'));
}

static bool has_text(const struct csv_split *s, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_blank(s, p[i])) return true;
    return false;
}

// How many of the bytes hold no blank line for sure, whatever follows them.
static size_t before_blank(const struct csv_split *s, const uint8_t *p, size_t n)
{
    const uint8_t *lf = p, *end = p + n;
    if (!s->text_seen && is_blank(s, *p)) return 0;
    while (lf < end && (lf = memchr(lf, '\n', (size_t)(end - lf)))) {
        lf++;
        if (lf < end && is_blank(s, *lf)) return (size_t)(lf - p);
    }
    return n;
}

// Takes what before_blank says.
static void take_text(struct csv_split *s, const uint8_t *p, size_t n)
{
    uint64_t begin = s->offset;
    take(s, p, n);
    if (s->blank_lines == CSV_BLANK_IS_ROW) return;
    bool inside = s->record_begin >= begin;
    size_t tail = inside ? (size_t)(s->record_begin - begin) : 0;
    s->text_seen = (!inside && s->text_seen) || has_text(s, p + tail, n - tail);
}

// take_record, which counts it if it is a blank line.
static bool take_line(struct csv_split *s, const uint8_t *p, size_t n, size_t *taken)
{
    bool found = take_record(s, p, n, taken);
    if (s->blank_lines == CSV_BLANK_IS_ROW) return found;
    s->text_seen = s->text_seen || has_text(s, p, *taken);
    if (!found) return false;
    s->open.blank += !s->text_seen;
    s->text_seen = false;
    return true;
}

static void close_cut(struct csv_split *s, struct csv_cut *cut)
{
    *cut = s->open;
    cut->end = s->offset;
    s->lines_before += s->open.lines;
    s->open = (struct csv_cut){ .begin = s->offset, .end = s->offset };
    s->record_begin = s->offset;
    s->record_line_delta = 0;
}

static err_t bad_record(const struct csv_split *s, struct err *e)
{
    if (s->scan.state == CSV_IN_QUOTED)
        return err_set(
            e, ERR_PARSE,
            "line %llu: the quote at byte %llu is never closed (a record may have "
            "at most %d bytes)",
            (unsigned long long)s->quote_line + 1, (unsigned long long)s->quote_at,
            CSV_RECORD_MAX);
    return err_set(e, ERR_PARSE,
                   "line %llu: the record that begins at byte %llu is longer than %d bytes",
                   (unsigned long long)(s->lines_before + s->record_line_delta + 1),
                   (unsigned long long)s->record_begin, CSV_RECORD_MAX);
}

static size_t least(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

err_t csv_split_feed(struct csv_split *s, const uint8_t *p, size_t n, uint64_t target,
                     size_t *used, bool *cut_found, struct csv_cut *cut, struct err *e)
{
    *used = 0;
    *cut_found = false;
    while (*used < n) {
        // Within `room` bytes no record can grow too long unseen; an end within `dull`
        // bytes is not yet a cut.
        uint64_t room = s->record_begin + CSV_RECORD_MAX - s->offset;
        uint64_t size = s->offset - s->open.begin;
        uint64_t dull = target > size + 1 ? target - size - 1 : 0;
        size_t taken = least(room, n - *used);
        if (taken == 0) return bad_record(s, e);
        if (dull) {
            taken = least(dull, taken);
            take(s, p + *used, taken);
        } else {
            *cut_found = take_record(s, p + *used, taken, &taken);
        }
        *used += taken;
        if (*cut_found) {
            close_cut(s, cut);
            break;
        }
    }
    return ERR_OK;
}

err_t csv_split_feed_records(struct csv_split *s, const uint8_t *p, size_t n,
                             uint64_t records, uint64_t most_bytes, size_t *used,
                             bool *cut_found, struct csv_cut *cut, struct err *e)
{
    *used = 0;
    *cut_found = false;
    while (*used < n && !*cut_found) {
        // So many bytes cannot hold all the records that are missing.
        uint64_t have = s->open.records - s->open.blank;
        uint64_t left = records > have ? records - have : 1;
        uint64_t size = s->offset - s->open.begin;
        uint64_t room = s->record_begin + CSV_RECORD_MAX - s->offset;
        uint64_t dull = most_bytes > size + 1 ? most_bytes - size - 1 : 0;
        if (dull > left - 1) dull = left - 1;
        size_t taken = least(room, n - *used);
        if (taken == 0) return bad_record(s, e);
        size_t text = dull >= DULL_LEAST ? least(dull, taken) : 0;
        if (text && s->blank_lines) text = before_blank(s, p + *used, text);
        if (text) {
            taken = text;
            take_text(s, p + *used, text);
        } else if (take_line(s, p + *used, taken, &taken)) {
            have = s->open.records - s->open.blank;
            *cut_found = have >= records || size + taken >= most_bytes;
            if (*cut_found) close_cut(s, cut);
        }
        *used += taken;
    }
    return ERR_OK;
}

err_t csv_split_finish(struct csv_split *s, bool *cut_found, struct csv_cut *cut,
                       struct err *e)
{
    *cut_found = false;
    if (s->scan.state == CSV_IN_QUOTED) return bad_record(s, e);
    if (s->offset == s->open.begin) return ERR_OK;
    bool unterminated = s->offset > s->record_begin;
    s->open.records += unterminated;
    s->open.unterminated = unterminated;
    s->scan.state = CSV_FIELD_START;
    close_cut(s, cut);
    *cut_found = true;
    return ERR_OK;
}

bool csv_split_before_bad(const struct csv_split *s, struct csv_cut *cut,
                          uint64_t *bad_begin)
{
    *bad_begin = s->record_begin;
    *cut = s->open;
    cut->end = s->record_begin;
    cut->lines = s->record_line_delta;
    return cut->end > cut->begin;
}

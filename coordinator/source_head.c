// The first bytes of an input: is it text, and what is its header?

#include "common/arena.h"
#include "coordinator/source_impl.h"
#include "coordinator/source_names.h"

#include <string.h>

static bool begins(struct slice head, const char *magic, size_t n)
{
    return head.n >= n && memcmp(head.p, magic, n) == 0;
}

static err_t refuse_other_formats(const char *name, struct slice head, struct err *e)
{
    static const struct {
        const char *magic;
        size_t n;
        const char *what;
    } others[] = {
        { "\x1f\x8b", 2,
          "compressed with gzip; its name must end in .gz to be read through" },
        { "\x28\xb5\x2f\xfd", 4,
          "compressed with zstd; its name must end in .zst to be read through" },
        { "BZh", 3,
          "compressed with bzip2; pipe it: bzip2 -dc FILE | tranche run --csv -" },
        { "\xfd"
          "7zXZ",
          5, "compressed with xz; pipe it: xz -dc FILE | tranche run --csv -" },
        { "PK\x03\x04", 4, "a zip archive or a spreadsheet; save it as CSV first" },
        { "SQLite format 3", 16, "an SQLite database" },
        { "PAR1", 4, "a Parquet file" },
        { "\xff\xfe", 2,
          "UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW.csv" },
        { "\xfe\xff", 2,
          "UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW.csv" },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (begins(head, others[i].magic, others[i].n))
            return err_set(e, ERR_INVALID, "%s is %s", name, others[i].what);
    return ERR_OK;
}

static size_t count(struct slice s, uint8_t byte)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == byte;
    return n;
}

// A stray NUL makes a bad row; in the first line, or as more than 1 byte of 256, it shows
// that this is no text at all.
static err_t refuse_no_text(const char *name, struct slice head, struct err *e)
{
    TRY(refuse_other_formats(name, head, e));
    size_t nuls = count(head, 0);
    if (nuls) {
        const uint8_t *lf = memchr(head.p, '\n', head.n);
        size_t line = lf ? (size_t)(lf - head.p) : head.n;
        const uint8_t *nul = memchr(head.p, 0, head.n);
        if (nul < head.p + line || nuls > head.n / 256)
            return err_set(
                e, ERR_INVALID,
                "%s looks binary: a NUL byte at byte %zu, %zu of them in the first "
                "%zu bytes; only text can be read",
                name, (size_t)(nul - head.p), nuls, head.n);
    }
    if (!memchr(head.p, '\n', head.n) && count(head, '\r') > 1)
        return err_set(e, ERR_INVALID,
                       "%s ends its lines with CR only, which is data here; convert it: "
                       "tr '\\r' '\\n' < FILE > NEW.csv",
                       name);
    return ERR_OK;
}

struct first_record {
    struct slice bytes; // empty: the input has only blank lines, or nothing
    uint64_t begin, lines_before, lines;
};

// Finds it within the peeked bytes; *found stays false when it does not end there.
static err_t look_for_record(const struct source *s, struct slice head, size_t at,
                             bool whole, bool *found, struct first_record *r, struct err *e)
{
    *r = (struct first_record){ 0 };
    for (;; at++) {
        if (head.n - at >= 2 && memcmp(head.p + at, "\r\n", 2) == 0)
            at++;
        else if (head.n == at || head.p[at] != '\n')
            break;
        r->lines_before++;
    }
    r->begin = at;
    *found = whole && at == head.n;
    if (at == head.n) return ERR_OK;
    struct csv_split split;
    struct csv_cut cut;
    size_t used;
    csv_split_init(&split, &s->dialect, at, r->lines_before);
    TRY(csv_split_feed(&split, head.p + at, head.n - at, 1, &used, found, &cut, e));
    if (!*found && whole) TRY(csv_split_finish(&split, found, &cut, e));
    if (!*found) return ERR_OK;
    r->bytes = (struct slice){ head.p + at, (size_t)(cut.end - cut.begin) };
    r->lines = cut.lines;
    return ERR_OK;
}

static err_t first_record(const struct source *s, const char *name, struct stream *in,
                          size_t at, struct first_record *r, struct err *e)
{
    for (size_t want = SNIFF_BYTES; want <= HEADER_BYTES_MAX; want *= 16) {
        struct slice head;
        bool found;
        TRY(stream_peek(in, want, &head, e));
        err_t rc = look_for_record(s, head, at, head.n < want, &found, r, e);
        if (rc != ERR_OK) return err_wrap(e, rc, "%s", name);
        if (found) return ERR_OK;
    }
    return err_set(e, ERR_TOOBIG,
                   "%s: the first record does not end within %d bytes; is a quote in its "
                   "header never closed?",
                   name, HEADER_BYTES_MAX);
}

static err_t read_names(struct source *s, const char *name, struct slice record,
                        struct strings *names, struct err *e)
{
    struct arena mem = { 0 };
    struct csv_value *fields;
    size_t n, used;
    err_t rc =
        csv_read_record(&s->dialect, record.p, record.n, true, &mem, &fields, &n, &used, e);
    if (rc != ERR_OK)
        rc = err_wrap(e, rc, "%s: header", name);
    else if (s->header == HEADER_TRUE)
        rc = names_read(fields, n, name, names, e);
    else
        rc = names_none(n, names, e);
    arena_free(&mem);
    return rc;
}

err_t source_read_head(struct source *s, uint32_t input, struct stream *in,
                       struct strings *names, struct err *e)
{
    struct source_input *pub = &s->in[input];
    struct slice head;
    *names = (struct strings){ 0 };
    TRY(stream_peek(in, SNIFF_BYTES, &head, e));
    TRY(refuse_no_text(pub->name, head, e));
    TRY(likely_encoding(s, pub->name, head, e));
    size_t bom = begins(head, "\xef\xbb\xbf", 3) ? 3 : 0;
    struct slice text = { head.p + bom, head.n - bom };
    TRY(likely_delimiter(s, pub->name, text, head.n < SNIFF_BYTES, e));
    pub->data_begin = bom;
    pub->header_lines = 0;
    // Without a header only the number of columns is wanted, once.
    if (s->header == HEADER_NAMES || (s->header == HEADER_FALSE && s->names.n))
        return ERR_OK;
    struct first_record r;
    TRY(first_record(s, pub->name, in, bom, &r, e));
    if (r.bytes.n) TRY(read_names(s, pub->name, r.bytes, names, e));
    if (s->header == HEADER_FALSE) return ERR_OK;
    pub->data_begin = r.begin + r.bytes.n;
    pub->header_lines = r.lines_before + r.lines;
    return ERR_OK;
}

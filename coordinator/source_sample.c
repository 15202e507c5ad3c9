// text_infer: reads a little of the inputs, everywhere, and settles the types.

#include "common/arena.h"
#include "common/suggest.h"
#include "common/text.h"
#include "coordinator/source_impl.h"
#include "coordinator/source_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WHOLE_BYTES = 4 << 20,  // so much in total is read whole
    PLACES = 64,            // else: so many places ...
    PLACE_BYTES = 64 << 10, // ... of so many bytes ...
    SAMPLE_VALUES = 100000, // ... and so many values in all of them
    PLACE_RECORDS_MIN = 16,
    HEAD_BYTES_MIN = 64 << 10, // of a stream that can't be read twice, or not in the middle
    HEAD_BYTES_MAX = 512 << 10,
    TRIAL_BYTES = 256 << 10, // of whole records for trying transforms
    GUESS_RECORDS = 8,       // that must fit before a place is believed
};

struct sampler {
    struct source *s;
    struct infer_column *columns;
    uint32_t n_columns;
    struct buf *trial;
    struct arena mem;
    struct csv_scan scan; // at the start of anything
    uint8_t *block;       // CSV_PAD, cap bytes, CSV_PAD
    size_t cap;
    struct column_extent *extents; // NULL: not wanted
    uint32_t input;                // that is read ...
    uint64_t base;                 // ... from this byte on
    uint64_t rows, bytes;          // sampled, blank lines not counted as rows
    uint64_t whole_rows;           // of inputs that were read to their end
    uint64_t other_bytes;          // of the other inputs, as far as known
    uint64_t packed, unpacked;     // compressed bytes that were read, and what came out
    uint64_t packed_left;          // compressed bytes of inputs that were not looked at
    bool all;                      // every input was read to its end
};

// ---- records ----

static bool is_null(const struct csv_dialect *d, const struct csv_value *v)
{
    if (v->quoted) return false;
    if (!d->nulls) return v->n == 0;
    for (size_t i = 0; i < d->n_nulls; i++)
        if (strlen(d->nulls[i]) == v->n && memcmp(d->nulls[i], v->p, v->n) == 0)
            return true;
    return false;
}

static bool is_blank(const uint8_t *p, size_t n)
{
    return (n == 1 && p[0] == '\n') || (n == 2 && p[0] == '\r' && p[1] == '\n');
}

static bool is_text(const uint8_t *p, size_t n)
{
    return !memchr(p, 0, n) && text_is_utf8((const char *)p, n);
}

static void look_closely(struct sampler *m, uint32_t i, uint64_t at, bool known,
                         const char *p, size_t n)
{
    struct column_extent *x = &m->extents[i];
    extent_value(&x->values, infer_type(&m->columns[i]), p, n);
    if (known || !m->columns[i].was) return;
    x->placed = true;
    x->input = m->input;
    x->byte = m->base + at;
}

// Rows that will be rejected anyway say nothing about types.
static void learn(struct sampler *m, uint64_t at, const uint8_t *p, size_t n,
                  const struct csv_value *fields, size_t n_fields)
{
    if (n_fields != m->n_columns || !is_text(p, n)) return;
    for (uint32_t i = 0; i < m->n_columns; i++) {
        bool known = m->columns[i].was;
        if (is_null(&m->s->dialect, &fields[i])) {
            infer_null(&m->columns[i]);
            continue;
        }
        infer_value(&m->columns[i], &fields[i]);
        if (m->extents) look_closely(m, i, at, known, fields[i].p, fields[i].n);
    }
}

static void learn_values(struct sampler *m, uint64_t at, const struct json_value *values)
{
    for (uint32_t i = 0; i < m->n_columns; i++) {
        bool known = m->columns[i].was, null = values[i].kind == JSON_NULL;
        infer_json(&m->columns[i], &values[i]);
        if (m->extents && !null)
            look_closely(m, i, at, known, (const char *)values[i].p, values[i].n);
    }
}

static err_t learn_json(struct sampler *m, uint64_t at, const uint8_t *p, size_t n,
                        struct err *e)
{
    const struct json_value *values;
    char why[JSON_LINE_WHY];
    bool good;
    json_line_reset(m->s->json);
    TRY(json_line_read(m->s->json, p, n, &values, &good, why, e));
    for (size_t k = 0; good && k < json_line_rows(m->s->json); k++)
        learn_values(m, at, json_line_row(m->s->json, k));
    return ERR_OK;
}

// The same for lines, with or without JSON in them.
static err_t read_lines(struct sampler *m, const uint8_t *p, size_t n, bool last,
                        uint64_t max, struct err *e)
{
    for (size_t at = 0; at < n && max; max--) {
        const uint8_t *lf = memchr(p + at, '\n', n - at);
        if (!lf && !last) break;
        size_t used = lf ? (size_t)(lf - (p + at)) + 1 : n - at;
        m->bytes += used;
        m->rows++;
        if (m->s->json) TRY(learn_json(m, at, p + at, used, e));
        at += used;
    }
    return ERR_OK;
}

// Reads records until the bytes or `max` records are used up.
static err_t read_records(struct sampler *m, const uint8_t *p, size_t n, bool last,
                          uint64_t max, struct err *e)
{
    if (m->s->ops != &source_csv) return read_lines(m, p, n, last, max, e);
    for (size_t at = 0; at < n && max; max--) {
        struct csv_value *fields;
        size_t n_fields, used;
        arena_reset(&m->mem);
        TRY(csv_read_record(&m->s->dialect, p + at, n - at, last, &m->mem, &fields,
                            &n_fields, &used, e));
        if (used == 0) break;
        m->bytes += used;
        if (m->n_columns == 1 || !is_blank(p + at, used)) {
            m->rows++;
            learn(m, at, p + at, used, fields, n_fields);
        }
        at += used;
    }
    return ERR_OK;
}

// The first whole records of the first input that has any.
static err_t keep_trial(struct sampler *m, const uint8_t *p, size_t n, bool last,
                        struct err *e)
{
    if (m->trial->n || n == 0) return ERR_OK;
    struct csv_split split;
    struct csv_cut cut;
    size_t used, take = n < TRIAL_BYTES ? n : TRIAL_BYTES;
    bool found;
    csv_split_init(&split, &m->s->dialect, 0, 0);
    TRY(csv_split_feed(&split, p, take, UINT64_MAX, &used, &found, &cut, e));
    bool inside = split.scan.state == CSV_IN_QUOTED;
    size_t whole = last && take == n && !inside ? n : (size_t)split.record_begin;
    return buf_add(m->trial, p, whole, e);
}

// ---- where a record begins in the middle of a file ----

// The first record end if the bytes begin in this state; 0: none.
static size_t first_end(struct csv_scan scan, enum csv_state state, const uint8_t *p,
                        size_t n)
{
    scan.state = state;
    for (size_t i = 0; i < n; i += 64) {
        struct csv_block b = csv_scan_block(&scan, p + i, n - i < 64 ? n - i : 64);
        if (b.end) return i + (size_t)__builtin_ctzll(b.end) + 1;
    }
    return 0;
}

// Several records in a row from `at` have as many fields as there are columns.
static err_t looks_right(struct sampler *m, const uint8_t *p, size_t n, size_t at,
                         bool *right, struct err *e)
{
    size_t fit = 0;
    *right = m->s->ops != &source_csv; // every line end is a record's
    if (*right) return ERR_OK;
    for (size_t k = 0; k < GUESS_RECORDS && at < n; k++) {
        struct csv_value *fields;
        size_t n_fields, used;
        arena_reset(&m->mem);
        TRY(csv_read_record(&m->s->dialect, p + at, n - at, false, &m->mem, &fields,
                            &n_fields, &used, e));
        if (used == 0) break;
        if (!is_blank(p + at, used) && n_fields != m->n_columns) return ERR_OK;
        fit += n_fields == m->n_columns;
        at += used;
    }
    *right = fit >= 2;
    return ERR_OK;
}

// Tries both: the place is outside of quotes, or inside. 0: neither or both make sense.
static err_t guess_record(struct sampler *m, const uint8_t *p, size_t n, size_t *at,
                          struct err *e)
{
    size_t outside = first_end(m->scan, CSV_IN_FIELD, p, n);
    size_t inside = m->scan.quote ? first_end(m->scan, CSV_IN_QUOTED, p, n) : 0;
    bool out_fits = false, in_fits = false;
    if (outside) TRY(looks_right(m, p, n, outside, &out_fits, e));
    if (inside && inside != outside) TRY(looks_right(m, p, n, inside, &in_fits, e));
    *at = out_fits == in_fits ? 0 : out_fits ? outside : inside;
    return ERR_OK;
}

err_t source_find_record(struct source *s, uint32_t n_columns, const uint8_t *p, size_t n,
                         size_t *at, struct err *e)
{
    struct sampler m = { .s = s, .n_columns = n_columns };
    csv_scan_init(&m.scan, &s->dialect, NULL);
    err_t rc = guess_record(&m, p, n, at, e);
    arena_free(&m.mem);
    return rc;
}

// ---- inputs ----

static err_t room(struct sampler *m, size_t n, struct err *e)
{
    if (n <= m->cap) return ERR_OK;
    free(m->block);
    m->cap = 0;
    m->block = source_block(n);
    if (!m->block) return err_set(e, ERR_NOMEM, "out of memory");
    m->cap = n;
    return ERR_OK;
}

// The head of an input that stands alone; whole: that is all of it.
static err_t sample_head(struct sampler *m, const uint8_t *p, size_t n, bool whole,
                         uint64_t max_records, struct err *e)
{
    uint64_t before = m->rows;
    TRY(keep_trial(m, p, n, whole, e));
    TRY(read_records(m, p, n, whole, whole ? UINT64_MAX : max_records, e));
    if (whole)
        m->whole_rows += m->rows - before;
    else
        m->all = false;
    return ERR_OK;
}

static err_t sample_pipe(struct sampler *m, uint32_t input, size_t bytes, uint64_t records,
                         struct err *e)
{
    size_t skip = (size_t)m->s->in[input].data_begin;
    struct slice head;
    TRY(stream_peek(m->s->more[input].kept, skip + bytes, &head, e));
    bool whole = head.n < skip + bytes;
    if (!whole) m->other_bytes += bytes;
    return sample_head(m, head.p + skip, head.n - skip, whole, records, e);
}

static err_t sample_stream(struct sampler *m, uint32_t input, size_t bytes,
                           uint64_t records, struct err *e)
{
    const struct source_input *in = &m->s->in[input];
    struct stream *stream;
    size_t got = 0;
    TRY(room(m, bytes, e));
    TRY(source_begin(m->s, input, &stream, e));
    err_t rc = stream_read(stream, m->block + CSV_PAD, bytes, &got, e);
    uint64_t disk = stream_disk_offset(stream), told = stream_told_size(stream);
    stream_close(&stream);
    TRY(rc);
    m->input = input;
    m->base = in->data_begin;
    m->packed += disk;
    m->unpacked += got;
    if (got == bytes) { // as compressible as its head, unless it tells its size
        uint64_t guess =
            disk ? (uint64_t)((double)in->size / (double)disk * (double)got) : got;
        m->other_bytes += guess > told ? guess : told;
    }
    return sample_head(m, m->block + CSV_PAD, got, got < bytes, records, e);
}

static err_t sample_whole_file(struct sampler *m, uint32_t input, struct err *e)
{
    const struct source_input *in = &m->s->in[input];
    size_t n = (size_t)(in->size - in->data_begin), got;
    struct stream *stream;
    TRY(room(m, n, e));
    TRY(source_begin(m->s, input, &stream, e));
    err_t rc = stream_read(stream, m->block + CSV_PAD, n, &got, e);
    stream_close(&stream);
    TRY(rc);
    m->input = input;
    m->base = in->data_begin;
    return sample_head(m, m->block + CSV_PAD, got, true, UINT64_MAX, e);
}

static err_t sample_place(struct sampler *m, const struct source_input *in, int fd,
                          uint64_t offset, uint64_t records, struct err *e)
{
    bool head = offset == in->data_begin;
    uint64_t left = in->size - offset, most = head ? TRIAL_BYTES : PLACE_BYTES;
    size_t n, at = 0, want = (size_t)(left < most ? left : most);
    TRY(room(m, TRIAL_BYTES, e));
    TRY(stream_pread(fd, in->name, m->block + CSV_PAD, want, offset, &n, e));
    const uint8_t *p = m->block + CSV_PAD;
    if (head) {
        TRY(keep_trial(m, p, n, n == left, e));
    } else {
        TRY(guess_record(m, p, n, &at, e));
        if (at == 0) return ERR_OK;
    }
    m->input = (uint32_t)(in - m->s->in);
    m->base = offset + at;
    return read_records(m, p + at, n - at, n == left, records, e);
}

// The k-th of PLACES places of all files' data in a row; the first record of the first file
// is always one.
static err_t sample_places(struct sampler *m, uint64_t total, uint64_t records,
                           struct err *e)
{
    uint64_t begin = 0, k = 0;
    err_t rc = ERR_OK;
    for (uint32_t i = 0; i < m->s->n && rc == ERR_OK && k < PLACES; i++) {
        const struct source_input *in = &m->s->in[i];
        if (in->by_value) continue;
        uint64_t end = begin + in->size - in->data_begin;
        struct stream *stream = NULL;
        for (; k < PLACES && rc == ERR_OK; k++) {
            uint64_t place = total / PLACES * k;
            if (place >= end) break;
            if (!stream) rc = source_begin(m->s, i, &stream, e);
            if (rc == ERR_OK)
                rc = sample_place(m, in, stream_fd(stream), in->data_begin + place - begin,
                                  records, e);
        }
        stream_close(&stream);
        begin = end;
    }
    m->all = false;
    return rc;
}

static err_t sample_all(struct sampler *m, struct err *e)
{
    const struct source *s = m->s;
    uint64_t total = 0, streams = 0, share = SAMPLE_VALUES / m->n_columns;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->in[i].by_value)
            streams++;
        else
            total += s->in[i].size - s->in[i].data_begin;
    }
    bool whole = total <= WHOLE_BYTES;
    uint64_t places = streams < PLACES ? streams : PLACES;
    size_t bytes = places ? WHOLE_BYTES / places : 0;
    if (bytes < HEAD_BYTES_MIN) bytes = HEAD_BYTES_MIN;
    if (bytes > HEAD_BYTES_MAX) bytes = HEAD_BYTES_MAX;
    if (!whole || places > 1) share /= whole ? places : PLACES;
    if (share < PLACE_RECORDS_MIN) share = PLACE_RECORDS_MIN;

    for (uint32_t i = 0; i < s->n; i++) { // in input order: the trial comes from the first
        if (s->in[i].by_value && places) {
            places--;
            if (s->more[i].kept)
                TRY(sample_pipe(m, i, bytes, share, e));
            else
                TRY(sample_stream(m, i, bytes, share, e));
        } else if (s->in[i].by_value) {
            m->packed_left += s->in[i].size;
            m->all = false;
        } else if (whole) {
            TRY(sample_whole_file(m, i, e));
        }
    }
    if (whole) return ERR_OK;
    m->other_bytes += total;
    return sample_places(m, total, share, e);
}

static uint64_t estimate(const struct sampler *m)
{
    if (m->all || m->bytes == 0) return m->whole_rows;
    double rows_a_byte = (double)m->rows / (double)m->bytes;
    double bytes = (double)m->other_bytes;
    if (m->packed) // the others are as compressible
        bytes += (double)m->packed_left * (double)m->unpacked / (double)m->packed;
    return m->whole_rows + (uint64_t)(bytes * rows_a_byte + 0.5);
}

// ---- types that were given ----

static err_t no_such_column(const struct schema *schema, const char *name, struct err *e)
{
    char shown[TEXT_QUOTED], wrong[TEXT_QUOTED], near[TEXT_QUOTED + 32], list[400] = "";
    struct suggest suggest = { .word = name };
    size_t n = 0;
    bool all = true;
    for (uint32_t i = 0; i < schema->n; i++) {
        suggest_offer(&suggest, schema->f[i].name);
        const char *next = text_quoted(schema->f[i].name, shown);
        all = all && n + strlen(next) + 8 < sizeof list;
        if (all) n += (size_t)sprintf(list + n, "%s%s", i ? ", " : "", next);
    }
    if (suggest.best)
        snprintf(near, sizeof near, ", did you mean %s?", text_quoted(suggest.best, shown));
    return err_set(e, ERR_INVALID, "types: there is no column %s%s The columns are %s%s",
                   text_quoted(name, wrong), suggest.best ? near : ".", list,
                   all ? "" : ", ...");
}

err_t source_give_types(const struct job *j, struct schema *schema, struct err *e)
{
    for (size_t i = 0; i < j->types.n; i++) {
        const struct job_pair *p = &j->types.v[i];
        int at = schema_find(schema, p->name);
        if (at < 0) return no_such_column(schema, p->name, e);
        enum type t;
        char shown[TEXT_QUOTED];
        if (!type_parse(p->value, &t) || t == TYPE_ANY)
            return err_set(e, ERR_INVALID,
                           "types: %s: %s is no type; it is one of integer, real, text, "
                           "boolean, date, timestamp",
                           p->name, text_quoted(p->value, shown));
        schema->f[at].type = t;
        schema->f[at].given = true;
    }
    return ERR_OK;
}

static err_t sample(struct sampler *m, const struct job *j, struct schema *schema,
                    struct err *e)
{
    TRY(source_names(m->s, schema, NULL, e));
    TRY(source_give_types(j, schema, e));
    m->n_columns = schema->n;
    m->columns = calloc(schema->n, sizeof *m->columns);
    if (!m->columns) return err_set(e, ERR_NOMEM, "out of memory");
    if (j->closely && !(m->extents = calloc(schema->n, sizeof *m->extents)))
        return err_set(e, ERR_NOMEM, "out of memory");
    TRY(sample_all(m, e));
    const struct schema *known = j->trial ? j->trial->types : NULL;
    for (uint32_t i = 0; i < schema->n; i++)
        if (known && i < known->n)
            schema->f[i].type = known->f[i].type;
        else if (!schema->f[i].given)
            schema->f[i].type = infer_type(&m->columns[i]);
    return ERR_OK;
}

err_t text_infer(struct source *s, const struct job *j, struct schema *out,
                 struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    struct sampler m = { .s = s, .trial = trial, .all = true };
    struct schema schema = { 0 };
    csv_scan_init(&m.scan, &s->dialect, NULL);
    err_t rc = sample(&m, j, &schema, e);
    arena_free(&m.mem);
    free(m.block);
    if (rc != ERR_OK) {
        free(m.columns);
        free(m.extents);
        schema_free(&schema);
        return rc;
    }
    free(s->evidence);
    free(s->extents);
    s->evidence = m.columns;
    s->extents = m.extents;
    s->n_evidence = m.n_columns;
    *estimate_rows = estimate(&m);
    *out = schema;
    return ERR_OK;
}

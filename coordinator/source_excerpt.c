// A part of the inputs for a trial: whole records from head, middle and tail.

#include "common/clock.h"
#include "coordinator/source_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BLOCK_LEAST = 64 << 10,
    BLOCK_MOST = 8 << 20, // longer records are left out
    PLACES_TRIED = 16,    // where quotes leave in doubt what is a record
    NEXT_PLACE = 509,     // bytes on
};

struct copier {
    struct source *s;
    uint32_t n_columns;
    int fd;
    struct excerpt *out;
    uint8_t *block; // CSV_PAD, cap bytes, CSV_PAD
    size_t cap;
};

static err_t room(struct copier *c, size_t n, struct err *e)
{
    if (n <= c->cap) return ERR_OK;
    free(c->block);
    c->cap = 0;
    c->block = source_block(n);
    if (!c->block) return err_set(e, ERR_NOMEM, "out of memory");
    c->cap = n;
    return ERR_OK;
}

static err_t put(struct copier *c, const void *p, size_t n, struct err *e)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = write(c->fd, (const uint8_t *)p + done, n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(e, "cannot write a part of the input for a trial");
        done += (size_t)k;
    }
    c->out->bytes += n;
    return ERR_OK;
}

// How many of the n bytes are whole records, about `want` of them.
static err_t whole_records(const struct copier *c, const uint8_t *p, size_t n, bool last,
                           uint64_t want, size_t *out, struct err *e)
{
    struct csv_split split;
    struct csv_cut cut;
    bool found;
    csv_split_init(&split, &c->s->dialect, 0, 0);
    err_t rc = csv_split_feed(&split, p, n, want, out, &found, &cut, e);
    if (rc != ERR_OK && rc != ERR_PARSE) return rc;
    if (found) return ERR_OK;
    if (rc == ERR_PARSE) last = false; // what is bad begins with record_begin
    bool inside = split.scan.state == CSV_IN_QUOTED;
    *out = last && !inside ? n : (size_t)split.record_begin;
    return ERR_OK;
}

// Records of the block, which begins at `from` of the input. *took may be 0.
static err_t copy_block(struct copier *c, uint32_t input, uint64_t from, const uint8_t *p,
                        size_t n, bool last, uint64_t want, size_t *took, struct err *e)
{
    TRY(whole_records(c, p, n, last, want, took, e));
    if (*took == 0 || c->out->n == EXCERPT_PIECES) return ERR_OK;
    c->out->v[c->out->n++] = (struct excerpt_piece){ input, from, c->out->bytes };
    TRY(put(c, p, *took, e));
    return p[*took - 1] == '\n' ? ERR_OK : put(c, "\n", 1, e);
}

static err_t copy_file(struct copier *c, uint32_t input, int fd, uint64_t from,
                       uint64_t want, uint64_t *got, struct err *e)
{
    const struct source_input *in = &c->s->in[input];
    size_t block = BLOCK_LEAST;
    bool head = from == in->data_begin;
    int places = 0;
    *got = 0;
    while (from < in->size && *got < want && c->out->n < EXCERPT_PIECES) {
        size_t n, at = 0, took = 0;
        while (block < want - *got && block < BLOCK_MOST)
            block *= 2;
        if (block > in->size - from) block = (size_t)(in->size - from);
        TRY(room(c, block, e));
        const uint8_t *p = c->block + CSV_PAD;
        TRY(stream_pread(fd, in->name, c->block + CSV_PAD, block, from, &n, e));
        bool last = from + n >= in->size;
        if (!head) TRY(source_find_record(c->s, c->n_columns, p, n, &at, e));
        if (!head && at == 0 && places++ < PLACES_TRIED && in->size - from > NEXT_PLACE) {
            from += NEXT_PLACE;
            continue;
        }
        if (head || at)
            TRY(copy_block(c, input, from + at, p + at, n - at, last, want - *got, &took,
                           e));
        if (took == 0 && (last || n < block || block >= BLOCK_MOST)) break;
        if (took == 0) {
            block *= 2;
            continue;
        }
        head = true; // at the begin of a record, from now on
        from += at + took;
        *got += took;
    }
    return ERR_OK;
}

// From this byte of all plain files in a row, over their ends.
static err_t copy_place(struct copier *c, uint64_t place, uint64_t want, struct err *e)
{
    uint64_t begin = 0;
    for (uint32_t i = 0; i < c->s->n && want; i++) {
        const struct source_input *in = &c->s->in[i];
        if (in->by_value || in->size <= in->data_begin) continue;
        uint64_t end = begin + in->size - in->data_begin, got = 0;
        if (place < end) {
            struct stream *stream = NULL;
            uint64_t skip = place > begin ? place - begin : 0;
            TRY(source_begin(c->s, i, &stream, e));
            err_t rc =
                copy_file(c, i, stream_fd(stream), in->data_begin + skip, want, &got, e);
            stream_close(&stream);
            TRY(rc);
            want = got < want ? want - got : 0;
        }
        begin = end;
    }
    return ERR_OK;
}

static err_t read_stream(struct copier *c, uint32_t input, size_t want, size_t *got,
                         struct err *e)
{
    struct stream *stream = NULL;
    TRY(room(c, want, e));
    TRY(source_begin(c->s, input, &stream, e));
    ns_t began = clock_ns();
    err_t rc = stream_read(stream, c->block + CSV_PAD, want, got, e);
    c->out->unpack_seconds += (double)(clock_ns() - began) / (double)NS_S;
    c->out->unpacked += *got;
    stream_close(&stream);
    return rc;
}

// What is compressed can be read from its head only.
static err_t copy_streams(struct copier *c, uint64_t want, struct err *e)
{
    for (uint32_t i = 0; i < c->s->n && want && c->out->n < EXCERPT_PIECES; i++) {
        const struct source_input *in = &c->s->in[i];
        size_t got, took, n = want < BLOCK_LEAST ? BLOCK_LEAST : (size_t)want;
        if (!in->by_value || !in->path) continue;
        TRY(read_stream(c, i, n, &got, e));
        TRY(copy_block(c, i, in->data_begin, c->block + CSV_PAD, got, got < n, want, &took,
                       e));
        want = took < want ? want - took : 0;
    }
    return ERR_OK;
}

static err_t copy_all(struct copier *c, uint64_t bytes, struct err *e)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < c->s->n; i++)
        if (!c->s->in[i].by_value) total += c->s->in[i].size - c->s->in[i].data_begin;
    if (total == 0) return copy_streams(c, bytes, e);
    uint64_t part = bytes / 3;
    if (part == 0) part = 1;
    TRY(copy_place(c, 0, part, e));
    if (total > part) TRY(copy_place(c, (total - part) / 2 + part / 2, part, e));
    return total > 2 * part ? copy_place(c, total - part, part, e) : ERR_OK;
}

err_t source_excerpt(struct source *s, uint32_t n_columns, uint64_t bytes, int fd,
                     struct excerpt *out, struct err *e)
{
    struct copier c = { .s = s, .n_columns = n_columns, .fd = fd, .out = out };
    *out = (struct excerpt){ 0 };
    if (bytes > EXCERPT_BYTES_MAX) bytes = EXCERPT_BYTES_MAX;
    err_t rc = copy_all(&c, bytes, e);
    free(c.block);
    return rc;
}

bool excerpt_origin(const struct excerpt *x, uint64_t at, uint32_t *input, uint64_t *byte)
{
    for (size_t i = x->n; i-- > 0;)
        if (x->v[i].at <= at) {
            *input = x->v[i].input;
            *byte = x->v[i].from + (at - x->v[i].at);
            return true;
        }
    return false;
}

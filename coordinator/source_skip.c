// text_skip: what the ledger has already, checked against the files.

#include "coordinator/source_impl.h"

#include <stdlib.h>
#include <string.h>

static unsigned long long ull(uint64_t n)
{
    return n;
}

// The ledger's rows must make sense before anything is planned with them.
static err_t check_list(const struct source_input *in, const struct committed *c, size_t n,
                        struct err *e)
{
    if (c[0].range.begin < in->data_begin)
        return err_set(e, ERR_CHANGED,
                       "%s changed: its data begin at byte %llu, but bytes %llu-%llu were "
                       "loaded (another header?); --fresh starts over",
                       in->name, ull(in->data_begin), ull(c[0].range.begin),
                       ull(c[0].range.end));
    for (size_t i = 0; i < n; i++)
        if (c[i].range.begin >= c[i].range.end ||
            (i && c[i].range.begin < c[i - 1].range.end))
            return err_set(e, ERR_INVALID,
                           "%s: the ledger's range %llu-%llu is out of order", in->name,
                           ull(c[i].range.begin), ull(c[i].range.end));
    return ERR_OK;
}

// A record without a line end can only be the file's last.
static err_t check_ends(const struct source_input *in, const struct committed *c, size_t n,
                        struct err *e)
{
    uint64_t end = c[n - 1].range.end;
    if (end > in->size)
        return err_set(
            e, ERR_CHANGED,
            "%s changed: it has %llu bytes now, but bytes up to %llu were loaded; "
            "--fresh starts over",
            in->name, ull(in->size), ull(end));
    for (size_t i = 0; i < n; i++)
        if (c[i].unterminated && c[i].range.end < in->size)
            return err_set(
                e, ERR_CHANGED,
                "%s grew after byte %llu, where its last line had no line end when "
                "it was loaded; --fresh starts over",
                in->name, ull(c[i].range.end));
    return ERR_OK;
}

static err_t check_digests(const struct source_input *in, const struct committed *c,
                           size_t n, struct err *e)
{
    struct stream *file;
    bool grown;
    TRY(source_reopen(in, &file, e));
    err_t rc = source_check_same(in, stream_fd(file), &grown, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct hash128 digest;
        rc = source_digest(in, stream_fd(file), c[i].range.begin, c[i].range.end, &digest,
                           NULL, e);
        if (rc == ERR_OK && !hash_equal(digest, c[i].digest))
            rc = err_set(
                e, ERR_CHANGED,
                "%s changed: bytes %llu-%llu are not what was loaded; --fresh starts "
                "over",
                in->name, ull(c[i].range.begin), ull(c[i].range.end));
    }
    stream_close(&file);
    return rc;
}

err_t text_skip(struct source *s, uint32_t input, const struct committed *c, size_t n,
                bool same_file, struct err *e)
{
    const struct source_input *in = &s->in[input];
    TRY(check_list(in, c, n, e));
    if (!in->by_value) {
        TRY(check_ends(in, c, n, e));
        if (!same_file) TRY(check_digests(in, c, n, e));
    }
    struct committed *copy = malloc(n * sizeof *copy);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(copy, c, n * sizeof *copy);
    free(s->more[input].done);
    s->more[input].done = copy;
    s->more[input].n_done = n;
    return ERR_OK;
}

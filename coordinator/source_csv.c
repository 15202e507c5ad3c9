// Opens the inputs of a text source, and opens them again when their turn comes.

#include "coordinator/source_files.h"
#include "coordinator/source_impl.h"
#include "coordinator/source_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static err_t first_header(struct source *s, uint32_t input, struct strings *names,
                          uint32_t *first, struct err *e)
{
    if (names->n == 0) return ERR_OK;
    if (s->names.n == 0) {
        s->names = *names;
        *names = (struct strings){ 0 };
        *first = input;
        return ERR_OK;
    }
    return names_equal(&s->names, s->in[*first].name, names, s->in[input].name, e);
}

static err_t open_input(struct source *s, uint32_t input, struct source_file *file,
                        uint32_t *first, struct err *e)
{
    struct source_input *in = &s->in[input];
    *in = (struct source_input){ .name = file->name, .path = file->path };
    file->name = file->path = NULL;
    in->data_end = UINT64_MAX;
    s->n = input + 1;
    struct stream *stream;
    TRY(stream_open(&stream, in->path, in->name, e));
    stream_stop_by(stream, s->stop_fd);
    const struct stat *st = stream_stat(stream);
    in->by_value = stream_kind(stream) != STREAM_FILE;
    if (stream_kind(stream) != STREAM_PIPE) {
        in->dev = st->st_dev;
        in->ino = st->st_ino;
        in->size = (uint64_t)st->st_size;
        in->mtime_ns = mtime_ns(st);
        in->ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
    }
    struct strings names = { 0 };
    err_t rc = source_read_head(s, input, stream, &names, e);
    if (rc == ERR_OK) rc = first_header(s, input, &names, first, e);
    strings_free(&names);
    if (stream_kind(stream) == STREAM_PIPE)
        s->more[input].kept = stream;
    else
        stream_close(&stream);
    return rc;
}

static err_t open_all(struct source *s, struct source_files *files, struct err *e)
{
    if (files->n >= UINT32_MAX)
        return err_set(e, ERR_TOOBIG, "%zu files are too many", files->n);
    s->in = calloc(files->n, sizeof *s->in);
    s->more = calloc(files->n, sizeof *s->more);
    if (!s->in || !s->more) return err_set(e, ERR_NOMEM, "out of memory");
    uint32_t first = 0;
    for (size_t i = 0; i < files->n; i++)
        TRY(open_input(s, (uint32_t)i, &files->v[i], &first, e));
    if (s->names.n) return ERR_OK;
    const char *help =
        s->header == HEADER_TRUE
            ? "no header to take column names from; name them with header: [...]"
            : "no record to count columns in; name them with header: [...]";
    if (s->n == 1) return err_set(e, ERR_INVALID, "%s is empty: %s", s->in[0].name, help);
    return err_set(e, ERR_INVALID, "all %u files are empty: %s", s->n, help);
}

static err_t copy_dialect(struct source *s, const struct job *j, struct err *e)
{
    s->delimiter_given = j->delimiter_given;
    s->dialect = (struct csv_dialect){ .delimiter = j->delimiter, .quote = j->quote };
    if (!j->nulls_given) return ERR_OK;
    s->nulls.v =
        calloc(j->nulls.n + 1, sizeof *s->nulls.v); // a pointer even for an empty list
    if (!s->nulls.v) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < j->nulls.n; i++, s->nulls.n++)
        if (!(s->nulls.v[i] = strdup(j->nulls.v[i])))
            return err_set(e, ERR_NOMEM, "out of memory");
    s->dialect.nulls = (const char *const *)s->nulls.v;
    s->dialect.n_nulls = s->nulls.n;
    return ERR_OK;
}

err_t text_open(struct source *s, const struct job *j, struct err *e)
{
    struct source_files files = { 0 };
    s->header = j->header;
    TRY(copy_dialect(s, j, e));
    if (s->header == HEADER_NAMES) TRY(names_given(&j->header_names, &s->names, e));
    err_t rc = source_files_expand(&j->files, &j->file_paths, &files, e);
    if (rc == ERR_OK) rc = open_all(s, &files, e);
    source_files_free(&files);
    return rc;
}

err_t text_names(struct source *s, struct schema *names_as_text, struct strings *notes,
                 struct err *e)
{
    for (size_t i = 0; notes && i < s->hints.n; i++)
        TRY(strings_add(notes, s->hints.v[i], strlen(s->hints.v[i]), e));
    return names_mend(&s->names, s->header != HEADER_FALSE, names_as_text, notes, e);
}

const struct source_ops source_csv = {
    .reader = "csv",
    .open = text_open,
    .names = text_names,
    .infer = text_infer,
    .skip = text_skip,
    .next = text_next,
    .reread = text_reread,
    .halve = text_halve,
    .close = text_close,
};

static err_t compare(const struct source_input *in, const struct stat *st, bool *grown,
                     struct err *e)
{
    uint64_t size = (uint64_t)st->st_size;
    *grown = size > in->size;
    if (st->st_dev != in->dev || st->st_ino != in->ino)
        return err_set(e, ERR_CHANGED, "%s was replaced by another file during the run",
                       in->name);
    if (size < in->size)
        return err_set(e, ERR_CHANGED,
                       "%s was truncated during the run: bytes %llu-%llu are gone",
                       in->name, (unsigned long long)size, (unsigned long long)in->size);
    if (!*grown && mtime_ns(st) != in->mtime_ns)
        return err_set(e, ERR_CHANGED, "%s was written to during the run", in->name);
    if (*grown && in->by_value)
        return err_set(e, ERR_CHANGED, "%s grew during the run from %llu to %llu bytes",
                       in->name, (unsigned long long)in->size, (unsigned long long)size);
    return ERR_OK;
}

err_t source_check_same(const struct source_input *in, int fd, bool *grown, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return err_sys(e, "cannot examine %s", in->name);
    TRY(compare(in, &st, grown, e));
    if (in->by_value) return ERR_OK;
    // Workers open it by its path, which may lead to another file by now.
    if (stat(in->path, &st) == 0) return compare(in, &st, grown, e);
    return errno == ENOENT || errno == ENOTDIR
               ? err_set(e, ERR_CHANGED, "%s was removed during the run", in->name)
               : err_sys(e, "cannot examine %s", in->name);
}

err_t source_reopen(const struct source_input *in, struct stream **out, struct err *e)
{
    err_t rc = stream_open(out, in->path, in->name, e);
    return rc == ERR_INVALID ? err_wrap(e, ERR_CHANGED, "changed during the run") : rc;
}

static err_t discard(struct stream *in, uint64_t n, struct err *e)
{
    uint8_t scratch[4096];
    while (n) {
        size_t got, want = n < sizeof scratch ? (size_t)n : sizeof scratch;
        TRY(stream_read(in, scratch, want, &got, e));
        if (got == 0)
            return ERR_OK; // shorter than at open: found where its data are missed
        n -= got;
    }
    return ERR_OK;
}

err_t source_begin(struct source *s, uint32_t input, struct stream **out, struct err *e)
{
    struct source_input *in = &s->in[input];
    struct stream *stream = s->more[input].kept;
    err_t rc = ERR_OK;
    if (stream) {
        s->more[input].kept = NULL;
    } else {
        bool grown;
        TRY(source_reopen(in, &stream, e));
        rc = source_check_same(in, stream_fd(stream), &grown, e);
    }
    if (rc == ERR_OK && in->by_value)
        rc = discard(stream, in->data_begin, e);
    else if (rc == ERR_OK)
        stream_seek(stream, in->data_begin);
    if (rc != ERR_OK) {
        stream_close(&stream);
        return rc;
    }
    *out = stream;
    return ERR_OK;
}

uint8_t *source_block(size_t n)
{
    uint8_t *p = malloc(n + 2 * CSV_PAD);
    if (!p) return NULL;
    memset(p, 0, CSV_PAD);
    memset(p + CSV_PAD + n, 0, CSV_PAD);
    return p;
}

uint64_t source_count_lf(const uint8_t *p, size_t n)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

err_t source_digest(const struct source_input *in, int fd, uint64_t begin, uint64_t end,
                    struct hash128 *out, uint64_t *lines, struct err *e)
{
    struct hash_stream *h = hash_stream_new();
    uint8_t *p = malloc(READ_BYTES);
    err_t rc = h && p ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    uint64_t lfs = 0;
    for (uint64_t at = begin; at < end && rc == ERR_OK;) {
        size_t got, want = end - at < READ_BYTES ? (size_t)(end - at) : READ_BYTES;
        rc = stream_pread(fd, in->name, p, want, at, &got, e);
        if (rc == ERR_OK && got < want)
            rc = err_set(e, ERR_CHANGED, "%s ends at byte %llu: bytes %llu-%llu are gone",
                         in->name, (unsigned long long)(at + got),
                         (unsigned long long)(at + got), (unsigned long long)end);
        if (rc != ERR_OK) break;
        hash_stream_add(h, p, got);
        if (lines) lfs += source_count_lf(p, got);
        at += got;
    }
    if (rc == ERR_OK) *out = hash_stream_value(h);
    if (lines) *lines = lfs;
    if (h) hash_stream_free(&h);
    free(p);
    return rc;
}

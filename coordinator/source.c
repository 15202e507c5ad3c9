#include "coordinator/source.h"

#include "coordinator/source_impl.h"
#include "coordinator/source_sqlite.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

void chunk_data_free(struct chunk_data **c)
{
    if (!*c) return;
    free((*c)->block);
    free(*c);
    *c = NULL;
}

void cutter_close(struct cutter *c)
{
    stream_close(&c->stream);
    if (c->hash) hash_stream_free(&c->hash);
    free(c->block);
    chunk_data_free(&c->bad);
    *c = (struct cutter){ 0 };
}

void text_close(struct source *s)
{
    for (uint32_t i = 0; s->more && i < s->n; i++) {
        stream_close(&s->more[i].kept);
        free(s->more[i].done);
    }
    cutter_close(&s->cut);
    strings_free(&s->nulls);
    strings_free(&s->names);
    strings_free(&s->hints);
    free(s->more);
    json_line_free(&s->json);
}

void source_close(struct source **sp)
{
    struct source *s = *sp;
    if (!s) return;
    s->ops->close(s);
    for (uint32_t i = 0; i < s->n; i++) {
        free(s->in[i].name);
        free(s->in[i].path);
    }
    free(s->evidence);
    free(s->extents);
    if (s->stop_fd >= 0) close(s->stop_fd);
    free(s->in);
    free(s);
    *sp = NULL;
}

static const struct source_ops *ops_of(enum job_source kind)
{
    switch (kind) {
    case SOURCE_LINES: return &source_lines;
    case SOURCE_JSONL: return &source_jsonl;
    case SOURCE_RANGE: return &source_range;
    case SOURCE_SQLITE: return &source_sqlite;
    case SOURCE_POSTGRES: return &source_postgres;
    case SOURCE_NONE:
    case SOURCE_CSV: break;
    }
    return &source_csv;
}

err_t source_open(struct source **out, const struct job *j, struct err *e)
{
    return source_open_above(out, j, NULL, e);
}

err_t source_open_above(struct source **out, const struct job *j,
                        const struct cell *watermark, struct err *e)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, ERR_NOMEM, "out of memory");
    s->ops = ops_of(j->source);
    s->watermark = watermark;
    s->batch_rows = j->batch_rows;
    s->batch_bytes_most = j->memory_bytes / 2;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err_t rc = s->stop_fd < 0 ? err_sys(e, "cannot open the input") : s->ops->open(s, j, e);
    if (rc == ERR_OK)
        *out = s;
    else
        source_close(&s);
    return rc;
}

void source_stop(struct source *s)
{
    uint64_t one = 1;
    if (write(s->stop_fd, &one, sizeof one) < 0) return; // it is full: it has been told
}

const struct source_input *source_inputs(const struct source *s, uint32_t *n)
{
    *n = s->n;
    return s->in;
}

const struct csv_dialect *source_dialect(const struct source *s)
{
    return &s->dialect;
}

const char *source_reader(const struct source *s)
{
    return s->ops->reader;
}

const char *source_query(const struct source *s)
{
    const struct sqlite_source *q = s->own;
    return s->ops == &source_table ? source_table_query(q->table) : NULL;
}

uint64_t source_chunk_bytes(const struct source *s, const struct chunk_data *c)
{
    if (!s->in[c->range.input].in_rows) return c->range.end - c->range.begin;
    if (c->unread) return c->about_bytes;
    return c->held ? c->held : (c->range.end - c->range.begin) * RANGE_ROW_BYTES;
}

const struct infer_column *source_evidence(const struct source *s, uint32_t *n)
{
    *n = s->n_evidence;
    return s->evidence;
}

const struct column_extent *source_extents(const struct source *s)
{
    return s->extents;
}

err_t source_names(struct source *s, struct schema *names_as_text, struct strings *notes,
                   struct err *e)
{
    return s->ops->names(s, names_as_text, notes, e);
}

err_t source_infer(struct source *s, const struct job *j, struct schema *out,
                   struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    return s->ops->infer(s, j, out, trial, estimate_rows, e);
}

err_t source_settle(struct source *s, struct err *e)
{
    return s->ops->settle ? s->ops->settle(s, e) : ERR_OK;
}

err_t source_skip(struct source *s, uint32_t input, const struct committed *c, size_t n,
                  bool same_file, struct err *e)
{
    if (input >= s->n)
        return err_set(e, ERR_INVALID, "there is no input %u: %u are read", input, s->n);
    return n ? s->ops->skip(s, input, c, n, same_file, e) : ERR_OK;
}

err_t source_next(struct source *s, const _Atomic uint64_t *target_bytes,
                  struct chunk_data **out, struct chunk_data **bad, struct err *e)
{
    *out = *bad = NULL;
    return s->ops->next(s, target_bytes, out, bad, e);
}

err_t source_reread(const struct source *s, struct range r, uint64_t first_line,
                    struct hash128 digest, bool halves, struct chunk_data *out[2],
                    struct err *e)
{
    out[0] = out[1] = NULL;
    bool no_lines = r.input < s->n && s->in[r.input].in_rows;
    if (r.input >= s->n || s->in[r.input].by_value || r.begin >= r.end ||
        (first_line == 0 && !no_lines))
        return err_set(e, ERR_INVALID, "bytes %llu-%llu of input %u cannot be read again",
                       (unsigned long long)r.begin, (unsigned long long)r.end, r.input);
    return s->ops->reread(s, r, first_line, digest, halves, out, e);
}

err_t source_halve(const struct source *s, const struct chunk_data *c,
                   struct chunk_data *out[2], struct err *e)
{
    out[0] = out[1] = NULL;
    return s->ops->halve(s, c, out, e);
}

err_t source_show(const struct source *s, const struct chunk_data *c, size_t *at,
                  struct buf *to, struct err *e)
{
    if (s->ops->show) return s->ops->show(s, c, at, to, e);
    size_t n = c->held;
    *at = n;
    while (n && (c->bytes[n - 1] == '\n' || c->bytes[n - 1] == '\r'))
        n--;
    return buf_add(to, c->bytes, n, e);
}

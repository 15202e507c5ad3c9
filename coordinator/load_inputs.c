#include "coordinator/load_inputs.h"

#include "common/clock.h"
#include "common/hash.h"
#include "common/host.h"
#include "common/rejects.h"
#include "coordinator/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void load_inputs_free(struct load_input **v, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*v)[i].name);
    free(*v);
    *v = NULL;
    *n = 0;
}

err_t load_inputs_copy(struct load_input **to, const struct load_input *from, size_t n,
                       struct err *e)
{
    struct load_input *v = calloc(n + 1, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        v[i] = from[i];
        if (!(v[i].name = strdup(from[i].name))) {
            load_inputs_free(&v, &i);
            break;
        }
    }
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    *to = v;
    return ERR_OK;
}

static err_t add_string(struct buf *out, const char *s, struct err *e)
{
    TRY(buf_add(out, "\"", 1, e));
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            TRY(buf_printf(out, e, "\\%c", *s));
        else if ((unsigned char)*s < ' ')
            TRY(buf_printf(out, e, "\\u%04x", (unsigned char)*s));
        else
            TRY(buf_add(out, s, 1, e));
    }
    return buf_add(out, "\"", 1, e);
}

err_t load_inputs_json(const struct load_input *v, size_t n, struct buf *out, struct err *e)
{
    TRY(buf_printf(out, e, "["));
    for (size_t i = 0; i < n; i++) {
        TRY(buf_printf(out, e, "%s{\"name\":", i ? ",\n" : ""));
        TRY(add_string(out, v[i].name, e));
        TRY(buf_printf(out, e,
                       ",\"size\":%" PRIu64 ",\"mtime_ns\":%" PRId64 ",\"ino\":%" PRId64
                       ",\"data_begin\":%" PRIu64 ",\"ctime_ns\":%" PRId64
                       ",\"by_value\":%d,\"end\":%" PRIu64 "}",
                       v[i].size, v[i].mtime_ns, (int64_t)v[i].ino, v[i].data_begin,
                       v[i].ctime_ns, v[i].by_value, v[i].end));
    }
    return buf_printf(out, e, "]");
}

err_t load_inputs_add(struct load_input **v, size_t *n, const struct load_input *in,
                      struct err *e)
{
    struct load_input *more = realloc(*v, (*n + 1) * sizeof *more);
    if (!more) return err_set(e, ERR_NOMEM, "out of memory");
    *v = more;
    more[*n] = *in;
    if (!(more[*n].name = strdup(in->name))) return err_set(e, ERR_NOMEM, "out of memory");
    ++*n;
    return ERR_OK;
}

struct named {
    const char *name;
    uint32_t at;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

// Ranges of the ledger belong to an input by its number, and to a file by its name.
static err_t check_names(const struct named *sorted, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!*sorted[i].name || (i && strcmp(sorted[i].name, sorted[i - 1].name) == 0))
            return err_set(e, ERR_DB,
                           "the inputs of this load in tranche_runs are damaged (%s has "
                           "the name '%.100s'). Bring the database back from a copy, or "
                           "start over with --fresh",
                           *sorted[i].name ? "more than one" : "one", sorted[i].name);
    return ERR_OK;
}

err_t load_inputs_match(struct load_input **stored, size_t *n_stored,
                        const struct load_input *inputs, size_t n, uint32_t **ids,
                        struct err *e)
{
    size_t known = *n_stored;
    struct named *index = malloc((known + 1) * sizeof *index);
    *ids = malloc((n + 1) * sizeof **ids);
    err_t rc = index && *ids ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < known; i++)
        index[i] = (struct named){ (*stored)[i].name, (uint32_t)i };
    if (rc == ERR_OK) qsort(index, known, sizeof *index, compare_names);
    if (rc == ERR_OK) rc = check_names(index, known, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        struct named key = { inputs[i].name, 0 };
        struct named *hit = bsearch(&key, index, known, sizeof *index, compare_names);
        (*ids)[i] = hit ? hit->at : (uint32_t)*n_stored;
        if (!hit) rc = load_inputs_add(stored, n_stored, &inputs[i], e);
    }
    free(index);
    return rc;
}

void load_inputs_remember(struct load_input *stored, const struct load_input *inputs,
                          size_t n, const uint32_t *ids, const uint64_t *end)
{
    for (size_t i = 0; i < n; i++) {
        struct load_input *to = &stored[ids[i]];
        char *name = to->name;
        *to = inputs[i];
        to->name = name;
        to->end = end[i];
    }
}

int64_t *load_inputs_numbers(const uint32_t *ids, size_t n, size_t n_stored)
{
    int64_t *v = malloc((n_stored + 1) * sizeof *v);
    for (size_t i = 0; v && i <= n_stored; i++)
        v[i] = -1;
    for (size_t i = 0; v && i < n; i++)
        v[ids[i]] = (int64_t)i;
    return v;
}

err_t load_inputs_header_changed(const struct load_input *was, const struct load_input *is,
                                 struct err *e)
{
    return err_set(e, ERR_CHANGED,
                   "%s: its header changed (the first row was at byte %" PRIu64
                   ", now it is at %" PRIu64 "). --fresh starts over",
                   is->name, was->data_begin, is->data_begin);
}

err_t load_inputs_check_gone(const struct load_input *in, uint64_t load_id, uint64_t bytes,
                             uint64_t rows, struct err *e)
{
    // Of a compressed file only a complete load knows where it ends.
    uint64_t end = in->by_value ? in->end ? in->end : UINT64_MAX : in->size;
    if (in->data_begin + bytes >= end) return ERR_OK;
    if (in->by_value)
        return err_set(
            e, ERR_CHANGED,
            "%s is not among the inputs any more, but load %" PRIu64 " has %" PRIu64
            " rows of it, and never came to its end. Bring the file back to continue; "
            "--fresh starts over",
            in->name, load_id, rows);
    return err_set(e, ERR_CHANGED,
                   "%s is not among the inputs any more, but load %" PRIu64
                   " has a part of it: %" PRIu64 " rows, %" PRIu64 " of %" PRIu64
                   " bytes. Bring the file back to continue; --fresh starts over",
                   in->name, load_id, rows, in->data_begin + bytes, in->size);
}

// ---- a load

const char *load_mode_name(enum job_mode m)
{
    static const char *const names[] = { [MODE_APPEND] = "append",
                                         [MODE_REPLACE] = "replace",
                                         [MODE_UPSERT] = "upsert",
                                         [MODE_INCREMENTAL] = "incremental" };
    return names[m];
}

void load_inputs_say_known(warehouse_say *say, void *arg, const char *place, uint64_t load,
                           const char *started, const char *name)
{
    char text[1200];
    snprintf(
        text, sizeof text,
        "%.300s: load %" PRIu64
        ", started %.40s, has %.300s already. This is another load (the "
        "job, or the path of the database or of the input, is written in another way), "
        "and loads those rows once more; the command of then loads only what is new, and "
        "--mode replace takes their place",
        place, load, started ? started : "?", name);
    say(arg, text);
}

err_t load_self(struct load_self *out, struct err *e)
{
    time_t now = clock_wall_ms() / 1000;
    struct tm tm;
    char name[200] = "";
    struct stat pids = { 0 };
    if (gethostname(name, sizeof name - 1) != 0) return err_sys(e, "gethostname");
    (void)!stat("/proc/self/ns/pid", &pids);
    struct hash128 since[2] = { host_boot_id(), { .lo = pids.st_ino } };
    snprintf(out->host, sizeof out->host, "%s (boot %08x)", name,
             (unsigned)hash_bytes(since, sizeof since).lo);
    gmtime_r(&now, &tm);
    strftime(out->when, sizeof out->when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return ERR_OK;
}

err_t load_state_add(struct load_state *s, size_t *cap, const struct ledger_row *row,
                     struct err *e)
{
    if (s->n_ledger == *cap) {
        size_t more = *cap ? 2 * *cap : 64;
        struct ledger_row *v = realloc(s->ledger, more * sizeof *v);
        if (!v) return err_set(e, ERR_NOMEM, "out of memory");
        s->ledger = v;
        *cap = more;
    }
    s->ledger[s->n_ledger++] = *row;
    return ERR_OK;
}

err_t load_state_inputs(struct load_state *s, const struct load_input *stored,
                        size_t n_known, const uint32_t *ids, size_t n, struct err *e)
{
    s->inputs = calloc(n + 1, sizeof *s->inputs);
    if (!s->inputs) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct load_input *to = &s->inputs[i];
        if (ids[i] < n_known) *to = stored[ids[i]];
        to->name = strdup(ids[i] < n_known ? to->name : "");
        if (!to->name) return err_set(e, ERR_NOMEM, "out of memory");
        s->n_inputs++;
    }
    return ERR_OK;
}

err_t load_check_rejects(const struct result *r, struct err *e)
{
    size_t at = 0;
    uint64_t n = 0;
    bool bad;
    struct reject one;
    while (rejects_next(r->rejects, &at, &one, &bad)) {
        if (one.line > INT64_MAX || one.byte > INT64_MAX)
            return err_set(e, ERR_PROTO, "a rejected row is nowhere");
        n++;
    }
    if (bad) return err_set(e, ERR_PROTO, "the list of rejected rows is damaged");
    if (n != r->row.rows_rejected)
        return err_set(e, ERR_PROTO,
                       "%" PRIu64 " rows are rejected, but %" PRIu64 " are listed",
                       r->row.rows_rejected, n);
    return ERR_OK;
}

void load_counts_known(struct ledger_row *row, const struct ledger_row *known)
{
    row->rows_emitted = known->rows_emitted;
    row->rows_loaded = known->rows_loaded;
    row->rows_refused = known->rows_refused;
    row->rows_replaced = known->rows_replaced;
    row->rows_skipped = known->rows_skipped;
}

err_t load_range_known(const char *input, struct range range, struct err *e)
{
    return err_set(e, ERR_DUP,
                   "%s: the ledger has something of bytes %" PRIu64 " to %" PRIu64
                   " already",
                   input, range.begin, range.end);
}

err_t load_check_counts(const struct result *r, struct err *e)
{
    TRY(ledger_check_row(&r->row, e));
    TRY(load_check_rejects(r, e));
    if (r->image || !r->row.rows_emitted) return ERR_OK;
    return err_set(e, ERR_PROTO, "%" PRIu64 " rows were announced, none came",
                   r->row.rows_emitted);
}

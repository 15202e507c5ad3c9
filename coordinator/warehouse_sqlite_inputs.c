// The inputs of a load as JSON in tranche_runs. The ledger numbers them in the order in
// which it met them, whatever their order is today; their names tell which is which.

#include "coordinator/warehouse_sqlite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void wsq_inputs_free(struct load_input **v, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*v)[i].name);
    free(*v);
    *v = NULL;
    *n = 0;
}

err_t wsq_inputs_copy(struct load_input **to, const struct load_input *from, size_t n,
                      struct err *e)
{
    struct load_input *v = calloc(n + 1, sizeof *v);
    for (size_t i = 0; v && i < n; i++) {
        v[i] = from[i];
        if (!(v[i].name = strdup(from[i].name))) {
            wsq_inputs_free(&v, &i);
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

err_t wsq_inputs_json(const struct load_input *v, size_t n, struct buf *out, struct err *e)
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

static err_t add_stored(struct warehouse *w, const struct load_input *in, struct err *e)
{
    struct load_input *v = realloc(w->stored, (w->n_stored + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    w->stored = v;
    v[w->n_stored] = *in;
    if (!(v[w->n_stored].name = strdup(in->name)))
        return err_set(e, ERR_NOMEM, "out of memory");
    w->n_stored++;
    return ERR_OK;
}

static err_t read_inputs(struct warehouse *w, sqlite3_stmt *st, struct err *e)
{
    bool row;
    for (;;) {
        TRY(wsq_step(w, st, &row, e, "reading the inputs of a load"));
        if (!row) return ERR_OK;
        const char *name = (const char *)sqlite3_column_text(st, 0);
        struct load_input in = {
            .name = (char *)(uintptr_t)(name ? name : ""),
            .size = (uint64_t)sqlite3_column_int64(st, 1),
            .mtime_ns = sqlite3_column_int64(st, 2),
            .ino = (uint64_t)sqlite3_column_int64(st, 3),
            .data_begin = (uint64_t)sqlite3_column_int64(st, 4),
            .ctime_ns = sqlite3_column_int64(st, 5),
            .by_value = sqlite3_column_int(st, 6) != 0,
            .end = (uint64_t)sqlite3_column_int64(st, 7),
        };
        TRY(add_stored(w, &in, e));
    }
}

err_t wsq_inputs_read(struct warehouse *w, uint64_t load_id, struct err *e)
{
    sqlite3_stmt *st;
    TRY(wsq_prepare(
        w, &st, e,
        "SELECT value->>'name', value->>'size', value->>'mtime_ns', value->>'ino',"
        "value->>'data_begin', value->>'ctime_ns', value->>'by_value', value->>'end' FROM "
        "main.tranche_runs, json_each(inputs) "
        "WHERE load_id = %lld ORDER BY key",
        (long long)load_id));
    err_t rc = read_inputs(w, st, e);
    sqlite3_finalize(st);
    return rc;
}

struct named {
    const char *name;
    uint32_t at;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

err_t wsq_inputs_match(struct warehouse *w, struct err *e)
{
    size_t known = w->n_stored;
    struct named *index = malloc((known + 1) * sizeof *index);
    w->ids = malloc((w->n_inputs + 1) * sizeof *w->ids);
    err_t rc = index && w->ids ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < known; i++)
        index[i] = (struct named){ w->stored[i].name, (uint32_t)i };
    if (rc == ERR_OK) qsort(index, known, sizeof *index, compare_names);
    for (size_t i = 0; rc == ERR_OK && i < w->n_inputs; i++) {
        struct named key = { w->inputs[i].name, 0 };
        struct named *hit = bsearch(&key, index, known, sizeof *index, compare_names);
        w->ids[i] = hit ? hit->at : (uint32_t)w->n_stored;
        if (!hit) rc = add_stored(w, &w->inputs[i], e);
    }
    free(index);
    return rc;
}

// Whether the ledger has a part of a stored input, but not all of it.
static err_t check_gone(struct warehouse *w, uint32_t id, struct err *e)
{
    const struct load_input *in = &w->stored[id];
    int64_t bytes, rows;
    bool any;
    TRY(wsq_int(w, e, &bytes, &any,
                "SELECT sum(byte_end - byte_begin) FROM main.tranche_ledger WHERE "
                "load = %lld AND input = %lld AND state <> 'split'",
                (long long)w->load_id, (long long)id));
    // Of a compressed file only a complete load knows where it ends.
    uint64_t end = in->by_value ? in->end ? in->end : UINT64_MAX : in->size;
    if (!any || in->data_begin + (uint64_t)bytes >= end) return ERR_OK;
    TRY(wsq_int(w, e, &rows, &any,
                "SELECT sum(rows_loaded) FROM main.tranche_ledger WHERE load = %lld AND "
                "input = %lld",
                (long long)w->load_id, (long long)id));
    if (in->by_value)
        return err_set(
            e, ERR_CHANGED,
            "%s is not among the inputs any more, but load %" PRIu64
            " has %lld rows of it, and never came to its end. Bring the file back "
            "to continue; --fresh starts over",
            in->name, w->load_id, (long long)rows);
    return err_set(e, ERR_CHANGED,
                   "%s is not among the inputs any more, but load %" PRIu64
                   " has a part of it: %lld rows, %lld of %" PRIu64
                   " bytes. Bring the file back to continue; --fresh starts over",
                   in->name, w->load_id, (long long)rows,
                   (long long)in->data_begin + (long long)bytes, in->size);
}

err_t wsq_inputs_check_gone(struct warehouse *w, struct err *e)
{
    bool *here = calloc(w->n_stored + 1, sizeof *here);
    err_t rc = here ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; rc == ERR_OK && i < w->n_inputs; i++)
        here[w->ids[i]] = true;
    for (uint32_t id = 0; rc == ERR_OK && id < w->n_known; id++)
        if (!here[id]) rc = check_gone(w, id, e);
    free(here);
    return rc;
}

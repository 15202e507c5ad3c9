// The verbs of csv: and jsonl:, which are those of SQLite with another store.

#include "coordinator/warehouse_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PART_BYTES = 64 << 20 };

void wf_free(struct wf **pf)
{
    struct wf *f = *pf;
    if (!f) return;
    wf_close_fd(f);
    free(f->shown);
    free(f->dir);
    free(f->base);
    free(f->current);
    buf_free(&f->header);
    free(f);
    *pf = NULL;
}

err_t wf_names(struct warehouse *w, struct err *e)
{
    w->table = strdup(w->files->base);
    w->place = strdup(w->files->shown);
    return w->table && w->place ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

// The folder of the parts is made: it is part of the name that they get.
static err_t find_folder(struct wf *f, const char *given, struct err *e)
{
    const char *slash = strrchr(given, '/');
    char *parent =
        slash ? strndup(given, (size_t)(slash - given) + (slash == given)) : strdup(".");
    if (!parent) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = ERR_OK;
    if (f->parts && mkdir(parent, 0777) != 0 && errno != EEXIST)
        rc = err_sys(e, "%s: its folder %s can't be made", given, parent);
    if (rc == ERR_OK && !(f->dir = realpath(parent, NULL))) {
        if (errno == ENOENT)
            rc =
                err_set(e, ERR_INVALID, "%s: its folder %s does not exist: create it first",
                        given, parent);
        else
            rc = err_sys(e, "%s: its folder %s", given, parent);
    }
    free(parent);
    return rc;
}

// out.csv.ledger; part-*.csv has part-.csv.ledger.
static char *ledger_path(const struct wf *f)
{
    char *path = NULL;
    size_t star = strcspn(f->base, "*");
    if (asprintf(&path, "%s/%.*s%s.ledger", f->dir, (int)star, f->base,
                 f->base + star + f->parts) < 0)
        return NULL;
    return path;
}

// Tables of the ledger are named after the output.
static err_t check_name(const struct wf *f, struct err *e)
{
    if (strncasecmp(f->base, "sqlite_", 7) != 0) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s: names that begin with sqlite_ are SQLite's own, which keeps the "
                   "ledger beside the output: take another name",
                   f->shown);
}

static err_t look_at_output(const struct wf *f, struct err *e)
{
    struct stat st;
    bool there;
    if (f->parts) return ERR_OK;
    char *path = wf_path(f, f->base, false);
    if (!path) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wf_stat(f, path, &st, &there, e);
    free(path);
    return rc;
}

err_t wf_open(struct warehouse **out, const char *format, const char *url,
              const struct wsq_store *store, warehouse_say *say, void *say_arg,
              struct err *e)
{
    const char *given = strchr(url, ':') + 1;
    const char *slash = strrchr(given, '/');
    struct wf *f = calloc(1, sizeof *f);
    *out = NULL;
    if (!f) return err_set(e, ERR_NOMEM, "out of memory");
    f->fd = -1;
    f->format = format;
    f->part_bytes = PART_BYTES;
    f->shown = strdup(given);
    f->base = strdup(slash ? slash + 1 : given);
    f->parts = strchr(slash ? slash : given, '*') != NULL;
    err_t rc =
        f->shown && f->base ? check_name(f, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = find_folder(f, given, e);
    if (rc == ERR_OK) rc = look_at_output(f, e);
    char *ledger = rc == ERR_OK ? ledger_path(f) : NULL;
    if (rc == ERR_OK)
        rc = ledger ? wsq_open(out, ledger, store, say, say_arg, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    free(ledger);
    if (rc != ERR_OK) {
        wf_free(&f);
        return rc;
    }
    (*out)->files = f;
    return ERR_OK;
}

static err_t open_csv(struct warehouse **out, const char *url, warehouse_say *say,
                      void *say_arg, struct err *e)
{
    return wf_open(out, "csv", url, &wf_store, say, say_arg, e);
}

static err_t open_jsonl(struct warehouse **out, const char *url, warehouse_say *say,
                        void *say_arg, struct err *e)
{
    return wf_open(out, "jsonl", url, &wf_store, say, say_arg, e);
}

err_t wf_no_values(struct warehouse *w, const char *sql, struct arena *mem,
                   struct cell *value, struct err *e)
{
    (void)sql, (void)mem, (void)value;
    return err_set(e, ERR_INVALID, "%s: has no tables to read parameters from",
                   w->files->format);
}

#define VERBS                                                            \
    .query_value = wf_no_values, .begin = wsq_begin, .check = wsq_check, \
    .commit = wsq_commit, .note = wsq_note, .finish = wsq_finish, .close = wsq_close

const struct warehouse_ops warehouse_csv = { .scheme = "csv",
                                             .sink = "csv",
                                             .merging = &warehouse_csv_merged,
                                             .open = open_csv,
                                             VERBS };
const struct warehouse_ops warehouse_jsonl = { .scheme = "jsonl",
                                               .sink = "jsonl",
                                               .merging = &warehouse_jsonl_merged,
                                               .open = open_jsonl,
                                               VERBS };

// OUT.rejects: the rejects of the ledger as CSV. Written anew at the end of every load, and
// swapped in, so that it is whole at every moment.

#include "coordinator/warehouse_file.h"

#include "common/crash.h"
#include "common/csv_quote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static err_t add_line(sqlite3_stmt *st, struct buf *line, struct err *e)
{
    line->n = 0;
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const void *p = sqlite3_column_blob(st, i);
        if (i) TRY(buf_add(line, ",", 1, e));
        if (sqlite3_column_type(st, i) != SQLITE_NULL)
            TRY(csv_quote(line, p ? p : "", (size_t)sqlite3_column_bytes(st, i), e));
    }
    return buf_add(line, "\n", 1, e);
}

static err_t write_all(struct warehouse *w, FILE *out, uint64_t *n, struct err *e)
{
    sqlite3_stmt *st;
    struct buf line = { 0 };
    bool row;
    err_t rc;
    fputs("run,file,line,byte_offset,column,reason,raw\n", out);
    TRY(wsq_prepare(w, &st, e,
                    "SELECT run, file, line, byte_offset, \"column\", reason, raw FROM "
                    "main.\"%w\" ORDER BY rowid",
                    w->rejects));
    while ((rc = wsq_step(w, st, &row, e, "reading the rejects")) == ERR_OK && row) {
        rc = add_line(st, &line, e);
        if (rc != ERR_OK) break;
        fwrite(line.p, 1, line.n, out);
        ++*n;
    }
    sqlite3_finalize(st);
    buf_free(&line);
    return rc;
}

static err_t export_to(struct warehouse *w, const char *path, const char *temp,
                       struct err *e)
{
    uint64_t n = 0;
    int fd = wf_new(temp);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        err_sys(e, "%s can't be written", path);
        if (fd >= 0) close(fd);
        return ERR_IO;
    }
    err_t rc = write_all(w, out, &n, e);
    bool bad = fflush(out) != 0 || ferror(out) || fsync(fileno(out)) != 0;
    int why = errno;
    bad |= fclose(out) != 0;
    if (rc == ERR_OK && bad)
        rc = err_set(e, why == ENOSPC || why == EDQUOT ? ERR_FULL : ERR_IO,
                     "%s can't be written: %s", path, strerror(why));
    crash_point("rejects-after-write");
    if (rc == ERR_OK && n) rc = wf_rename(w->files, temp, path, false, e);
    crash_point("rejects-after-rename");
    if (rc == ERR_OK && n) return ERR_OK;
    unlink(temp);
    if (rc == ERR_OK && unlink(path) != 0 && errno != ENOENT)
        rc = err_sys(e, "%s can't be deleted", path);
    return rc;
}

err_t wf_rejects_export(struct warehouse *w, struct err *e)
{
    const struct wf *f = w->files;
    size_t star = strcspn(f->base, "*");
    char *path = NULL, *temp = NULL;
    if (asprintf(&path, "%s/%.*s%s.rejects", f->dir, (int)star, f->base,
                 f->base + star + f->parts) < 0)
        path = NULL;
    if (path && asprintf(&temp, "%s.tranche", path) < 0) temp = NULL;
    err_t rc = temp ? export_to(w, path, temp, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(temp);
    free(path);
    return rc;
}

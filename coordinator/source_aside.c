// Rows of a database that is also loaded into: they are put into a temporary file before
// the load begins, because the load would wait for the end of the read transaction, and
// that for the load.

#include "common/temp_file.h"
#include "coordinator/source_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct aside { // each row stands behind its length
    FILE *f;
    uint64_t rows; // not read again yet
};

static err_t put(struct aside *a, const struct buf *row, struct err *e)
{
    uint64_t n = row->n;
    if (fwrite(&n, sizeof n, 1, a->f) == 1 && fwrite(row->p, 1, row->n, a->f) == row->n) {
        a->rows++;
        return ERR_OK;
    }
    return temp_file_fail(e, "cannot write");
}

static err_t get(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct sqlite_source *q = s->own;
    uint64_t n;
    *got = false;
    if (q->aside->rows == 0) return ERR_OK;
    if (fread(&n, sizeof n, 1, q->aside->f) != 1) return temp_file_fail(e, "cannot read");
    TRY(buf_reserve(to, to->n + n, e));
    if (fread(to->p + to->n, 1, n, q->aside->f) != n)
        return temp_file_fail(e, "cannot read");
    to->n += n;
    q->aside->rows--;
    *got = true;
    return ERR_OK;
}

static err_t put_all(struct source *s, struct aside *a, struct err *e)
{
    struct buf row = { 0 };
    bool got = true;
    err_t rc = ERR_OK;
    while (rc == ERR_OK && got) {
        row.n = 0;
        rc = sqlite_source_step(s, &row, &got, e);
        if (rc == ERR_OK && got) rc = put(a, &row, e);
    }
    buf_free(&row);
    if (rc == ERR_OK && fflush(a->f) != 0) rc = temp_file_fail(e, "cannot write");
    if (rc == ERR_OK) rewind(a->f);
    return rc;
}

err_t source_aside_put(struct source *s, struct err *e)
{
    struct sqlite_source *q = s->own;
    int fd;
    if (!q->also_loaded) return ERR_OK;
    q->aside = calloc(1, sizeof *q->aside);
    if (!q->aside) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(temp_file_open(&fd, e));
    q->aside->f = fdopen(fd, "w+b");
    if (!q->aside->f) {
        close(fd);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    TRY(put_all(s, q->aside, e));
    sqlite3_finalize(q->st);
    sqlite3_close(q->db); // and the read transaction is over
    q->st = NULL;
    q->db = NULL;
    q->rows.at_end = false;
    q->rows.step = get;
    return ERR_OK;
}

void source_aside_close(struct aside *a)
{
    if (a && a->f) fclose(a->f);
    free(a);
}

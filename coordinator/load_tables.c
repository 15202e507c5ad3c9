#include "coordinator/load_tables.h"

#include "common/csv_read.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static err_t read_records(const struct spec_table *t, const struct job_file *f,
                          uint8_t *out, struct err *e)
{
    int fd;
    TRY(file_open(f, &fd, e));
    err_t rc = ERR_OK;
    for (size_t got = 0; rc == ERR_OK && got < t->csv_bytes;) {
        ssize_t n = pread(fd, out + got, t->csv_bytes - got, (off_t)(t->file_at + got));
        if (n < 0 && errno != EINTR) rc = err_sys(e, "cannot read %s", f->path);
        if (n == 0) rc = err_set(e, ERR_CHANGED, "%s was truncated", f->path);
        if (n > 0) got += (size_t)n;
    }
    close(fd);
    return rc;
}

err_t load_tables_read(const struct spec *of, struct spec *out, struct err *e)
{
    *out = *of;
    out->n_tables = 0;
    out->tables = calloc(of->n_tables + 1, sizeof *out->tables);
    if (!out->tables) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < of->n_tables; i++) {
        struct spec_table *t = &out->tables[out->n_tables++];
        *t = of->tables[i];
        if (t->csv) continue;
        t->csv = calloc(1, t->csv_bytes + CSV_PAD);
        if (!t->csv) return err_set(e, ERR_NOMEM, "out of memory: table %s", t->name);
        TRY(read_records(t, &of->files.v[t->file], t->csv, e));
    }
    return ERR_OK;
}

void load_tables_free(const struct spec *of, struct spec *s)
{
    for (size_t i = 0; i < s->n_tables; i++)
        if (s->tables[i].csv != of->tables[i].csv) free(s->tables[i].csv);
    free(s->tables);
    *s = (struct spec){ 0 };
}

// Job files: any bytes are either a good job or answered with one-line mistakes.

#include "common/conf.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_lines(const struct strings *lines)
{
    static const char more[] = "there are more mistakes", name[] = "dir/job.yaml:";
    if (lines->n < 1 || lines->n > CONF_MAX_MISTAKES + 1) abort();
    for (size_t i = 0; i < lines->n; i++) {
        const char *line = lines->v[i];
        if (i == CONF_MAX_MISTAKES && strcmp(line, more) == 0) continue;
        if (strncmp(line, name, strlen(name)) != 0 || text_has_control(line)) abort();
        char *end;
        if (strtol(line + strlen(name), &end, 10) < 1 || *end != ':') abort();
        if (strtol(end + 1, &end, 10) < 1 || *end != ':') abort();
    }
}

static void check_job(const struct job *j)
{
    struct buf text = { 0 };
    if (!j->name || !j->table || !j->into || !j->into_written || !j->dir) abort();
    if (!j->files.n || j->files.n != j->file_paths.n || j->tables.n != j->tables_written.n)
        abort();
    if (j->delimiter == j->quote || j->retries > 100) abort();
    if (job_canonical(j, &text, NULL) != ERR_OK || !text.n) abort();
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct conf c;
    struct job j;
    struct strings lines = { 0 };
    struct err e;
    job_init(&j);
    conf_init(&c, &j, &lines);
    if (conf_text(&c, "dir/job.yaml", (const char *)p, n, &e) != ERR_OK) abort();
    err_t rc = conf_finish(&c, &e);
    if (rc == ERR_OK)
        check_job(&j);
    else
        check_lines(&lines);
    if ((rc == ERR_OK) != (lines.n == 0)) abort();
    strings_free(&lines);
    job_free(&j);
    return 0;
}

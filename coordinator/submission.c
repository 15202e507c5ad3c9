#include "coordinator/submission.h"

#include "common/conf.h"
#include "coordinator/source_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDER, FILE_NAME, TEXT, FIRST_WORD };

void submission_free(struct submission *s)
{
    free(s->folder);
    free(s->file);
    buf_free(&s->text);
    strings_free(&s->words);
    *s = (struct submission){ 0 };
}

// ---- as bytes ----

static err_t add_number(struct buf *out, size_t n, struct err *e)
{
    const uint8_t b[] = { (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                          (uint8_t)(n >> 24) };
    return buf_add(out, b, sizeof b, e);
}

static err_t add_text(struct buf *out, const void *p, size_t n, struct err *e)
{
    if (n > SUBMISSION_MAX_BYTES || out->n > SUBMISSION_MAX_BYTES - n)
        return err_set(e, ERR_TOOBIG, "the job and its flags are longer than %d MiB",
                       SUBMISSION_MAX_BYTES >> 20);
    TRY(add_number(out, n, e));
    return n ? buf_add(out, p, n, e) : ERR_OK;
}

err_t submission_encode(const struct submission *s, struct buf *out, struct err *e)
{
    const char *file = s->file ? s->file : "";
    if (s->words.n > SUBMISSION_WORDS_MAX)
        return err_set(e, ERR_TOOBIG, "more than %d words of flags", SUBMISSION_WORDS_MAX);
    if (strlen(s->folder) >= SUBMISSION_PATH_MAX || strlen(file) >= SUBMISSION_PATH_MAX)
        return err_set(e, ERR_TOOBIG, "the path is longer than %d bytes",
                       SUBMISSION_PATH_MAX - 1);
    TRY(add_number(out, FIRST_WORD + s->words.n, e));
    TRY(add_text(out, s->folder, strlen(s->folder), e));
    TRY(add_text(out, file, strlen(file), e));
    TRY(add_text(out, s->text.p, s->text.n, e));
    for (size_t i = 0; i < s->words.n; i++)
        TRY(add_text(out, s->words.v[i], strlen(s->words.v[i]), e));
    return ERR_OK;
}

struct reader {
    const uint8_t *p;
    size_t n;
};

static err_t broken(struct err *e, const char *what)
{
    err_set(e, ERR_PROTO, "this is no submission: %s", what);
    return ERR_PROTO; // the compiler sees that it is no success
}

static err_t take_number(struct reader *r, uint32_t *out, struct err *e)
{
    if (r->n < 4) return broken(e, "it ends too early");
    *out = (uint32_t)r->p[0] | (uint32_t)r->p[1] << 8 | (uint32_t)r->p[2] << 16 |
           (uint32_t)r->p[3] << 24;
    r->p += 4;
    r->n -= 4;
    return ERR_OK;
}

static err_t take_slice(struct reader *r, struct slice *out, struct err *e)
{
    uint32_t n;
    TRY(take_number(r, &n, e));
    if (n > r->n) return broken(e, "a text is longer than what is there");
    *out = (struct slice){ r->p, n };
    r->p += n;
    r->n -= n;
    return ERR_OK;
}

static err_t take_text(struct reader *r, size_t max, struct slice *out, struct err *e)
{
    TRY(take_slice(r, out, e));
    if (out->n > max) return broken(e, "a path is too long");
    if (out->n && memchr(out->p, 0, out->n)) return broken(e, "a text has a zero byte");
    return ERR_OK;
}

static err_t copy(char **out, struct slice s, struct err *e)
{
    *out = strndup((const char *)s.p, s.n);
    return *out ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t take_all(struct submission *out, struct reader *r, struct err *e)
{
    uint32_t n;
    struct slice folder, file, text, word;
    TRY(take_number(r, &n, e));
    if (n < FIRST_WORD || n > FIRST_WORD + SUBMISSION_WORDS_MAX)
        return broken(e, "the number of its texts cannot be");
    TRY(take_text(r, SUBMISSION_PATH_MAX - 1, &folder, e));
    TRY(take_text(r, SUBMISSION_PATH_MAX - 1, &file, e));
    TRY(take_slice(r, &text, e));
    if (folder.n == 0 || folder.p[0] != '/')
        return broken(e, "its folder has no full path");
    TRY(copy(&out->folder, folder, e));
    if (file.n) TRY(copy(&out->file, file, e));
    if (text.n) TRY(buf_add(&out->text, text.p, text.n, e));
    for (uint32_t i = FIRST_WORD; i < n; i++) {
        TRY(take_text(r, SUBMISSION_MAX_BYTES, &word, e));
        TRY(strings_add(&out->words, (const char *)word.p, word.n, e));
    }
    return r->n ? broken(e, "something stands behind it") : ERR_OK;
}

err_t submission_decode(struct submission *out, const void *p, size_t n, struct err *e)
{
    struct reader r = { p, n };
    *out = (struct submission){ 0 };
    if (n > SUBMISSION_MAX_BYTES + 4 * (FIRST_WORD + SUBMISSION_WORDS_MAX + 1))
        return broken(e, "it is too long");
    return take_all(out, &r, e);
}

// ---- as a job ----

int submission_read(const struct submission *s, char *const *more, struct cli *out,
                    FILE *say, FILE *complain)
{
    size_t n_more = 0;
    static char program[] = "tranche", command[] = "run";
    while (more && more[n_more])
        n_more++;
    char **argv = calloc(s->words.n + n_more + 3, sizeof *argv);
    *out = (struct cli){ .command = CLI_RUN };
    job_init(&out->job);
    if (!argv) return CLI_INTERRUPTED;
    int argc = 0;
    argv[argc++] = program;
    argv[argc++] = command;
    for (size_t i = 0; i < s->words.n; i++)
        argv[argc++] = s->words.v[i];
    for (size_t i = 0; i < n_more; i++)
        argv[argc++] = more[i];
    conf_stand_in(s->file, s->text.p ? (const void *)s->text.p : "", s->text.n);
    int code = cli_parse_to(argc, argv, out, say, complain);
    conf_stand_in(NULL, NULL, 0);
    free(argv);
    return code;
}

static err_t input_is_here(const struct job *j, struct err *e)
{
    struct source_files found = { 0 };
    err_t rc = ERR_OK;
    if (j->files.n) rc = source_files_expand(&j->files, &j->file_paths, &found, e);
    for (size_t i = 0; rc == ERR_OK && i < found.n; i++)
        if (found.v[i].path && access(found.v[i].path, F_OK) != 0)
            rc = err_set(e, ERR_INVALID, "%s is not there", found.v[i].name);
    source_files_free(&found);
    if (rc == ERR_OK && j->sqlite && access(j->sqlite, F_OK) != 0)
        rc = err_set(e, ERR_INVALID, "%s is not there", j->sqlite_written);
    if (rc != ERR_INVALID) return rc;
    return err_wrap(e, rc, "a job reads files of the host where the server runs");
}

static err_t job_fits(const struct job *j, struct err *e)
{
    if (j->into && strncmp(j->into, "stdout:", 7) == 0)
        return err_set(e, ERR_INVALID,
                       "%s: a job in a queue has no standard output: load into a file or a "
                       "table",
                       j->into_written);
    if (j->scheduled)
        return err_set(e, ERR_INVALID,
                       "--scheduled is for the host's scheduler: leave it out, and give "
                       "--token TEXT to submit a job once");
    for (size_t i = 0; i < j->files.n; i++)
        if (strcmp(j->files.v[i], "-") == 0)
            return err_set(e, ERR_INVALID,
                           "a job in a queue has no standard input: name the file that it "
                           "reads");
    if (j->needs.n) return ERR_OK; // other steps may make what it reads
    return input_is_here(j, e);
}

static bool has_flag(const struct submission *s, const char *flag)
{
    for (size_t i = 0; i < s->words.n; i++) {
        size_t n = strcspn(s->words.v[i], "=");
        if (n == strlen(flag) && strncmp(s->words.v[i], flag, n) == 0) return true;
    }
    return false;
}

err_t submission_fits(const struct submission *s, const struct cli *c, struct err *e)
{
    if (has_flag(s, "--listen") || has_flag(s, "--insecure"))
        return err_set(e, ERR_INVALID,
                       "--listen and --insecure: the server has the port for workers: "
                       "tranche serve --listen-workers tcp://HOST:PORT");
    if (!c->is_pipeline) return job_fits(&c->job, e);
    for (uint32_t i = 0; i < c->pipeline.n; i++) {
        err_t rc = job_fits(&c->pipeline.steps[i].job, e);
        if (rc != ERR_OK)
            return err_wrap(e, rc, "step %.100s", c->pipeline.steps[i].job.name);
    }
    return ERR_OK;
}

// One file by whatever path: through links, "./" and "../", and also before it is there.
static err_t add_path(const char *path, struct buf *out, struct err *e)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *full = realpath(path, NULL), *dir = NULL;
    err_t rc = ERR_OK;
    if (full) {
        rc = buf_printf(out, e, "%s", full);
    } else {
        char *folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
        dir = folder ? realpath(folder, NULL) : NULL;
        free(folder);
        rc =
            buf_printf(out, e, "%s%s%s", dir ? dir : "", dir ? "/" : "", dir ? name : path);
    }
    free(full);
    free(dir);
    return rc;
}

static err_t add_load(const struct job *j, struct buf *out, struct err *e)
{
    const char *colon = strchr(j->into, ':'), *table = j->table ? j->table : "";
    bool has_path = colon && colon[1] && strncmp(j->into, "postgres", 8) != 0;
    if (!has_path) return buf_printf(out, e, "%s %s\n", j->into, table);
    TRY(buf_printf(out, e, "%.*s", (int)(colon + 1 - j->into), j->into));
    TRY(add_path(colon + 1, out, e));
    return buf_printf(out, e, " %s\n", table);
}

err_t submission_loads(const struct cli *c, struct buf *out, struct err *e)
{
    if (!c->is_pipeline) return add_load(&c->job, out, e);
    for (uint32_t i = 0; i < c->pipeline.n; i++)
        TRY(add_load(&c->pipeline.steps[i].job, out, e));
    return ERR_OK;
}

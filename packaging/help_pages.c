// help_pages - writes the manual pages and the completions of bash and zsh:
//
//     help_pages TRANCHE TRANCHE-WORKER FOLDER
//
// It asks both programs for their --help, so that nothing is said twice or differently. In
// the folder: tranche.1 tranche-worker.1 tranche-job.5, tranche.bash tranche-worker.bash,
// _tranche _tranche-worker.

#include "common/help_man.h"
#include "common/help_shell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMANDS_MAX = 40, PATH_BYTES = 4096 };

static err_t read_all(int fd, struct buf *out, struct err *e)
{
    for (;;) {
        TRY(buf_reserve(out, 4096, e));
        ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
        if (n == 0) return buf_add(out, "", 1, e);
        if (n < 0 && errno != EINTR) return err_sys(e, "cannot read help");
        if (n > 0) out->n += (size_t)n;
    }
}

// `command` may be NULL.
static err_t ask(const char *program, const char *command, struct help_text *help,
                 struct err *e)
{
    int fd[2], status = 0;
    struct buf text = { 0 };
    if (pipe(fd) != 0) return err_sys(e, "no pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        close(fd[0]);
        execl(program, program, command ? command : "--help", command ? "--help" : NULL,
              (char *)NULL);
        _exit(127);
    }
    close(fd[1]);
    err_t rc = pid > 0 ? read_all(fd[0], &text, e) : err_sys(e, "cannot start %s", program);
    close(fd[0]);
    if (pid > 0) waitpid(pid, &status, 0);
    if (rc == ERR_OK && status != 0)
        rc = err_set(e, ERR_IO, "%s %s --help failed", program, command ? command : "");
    if (rc == ERR_OK) rc = help_read(help, (const char *)text.p, e);
    buf_free(&text);
    return rc;
}

static err_t put(const char *folder, const char *name, struct buf *text, err_t made,
                 struct err *e)
{
    char path[PATH_BYTES];
    TRY(made);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    bool whole = f && fwrite(text->p, 1, text->n, f) == text->n;
    if (f && fclose(f) != 0) whole = false;
    text->n = 0;
    return whole ? ERR_OK : err_sys(e, "cannot write %s", path);
}

struct program {
    struct help_text overview, worker;
    struct help_command v[COMMANDS_MAX];
    size_t n;
};

static err_t ask_all(const char *tranche, const char *worker, struct program *p,
                     struct err *e)
{
    TRY(ask(worker, NULL, &p->worker, e));
    TRY(ask(tranche, NULL, &p->overview, e));
    for (size_t i = help_below(&p->overview, "Commands"); i < help_n(&p->overview); i++) {
        const struct help_piece *x = help_at(&p->overview, i);
        if (x->kind != HELP_ITEM || p->n == COMMANDS_MAX) break;
        p->v[p->n].name = x->tag;
        TRY(ask(tranche, x->tag, &p->v[p->n++].help, e));
    }
    return p->n ? ERR_OK : err_set(e, ERR_PARSE, "the overview lists no commands");
}

static err_t write_all(const struct program *p, const char *folder, struct buf *b,
                       struct err *e)
{
    const struct help_text *o = &p->overview, *w = &p->worker;
    TRY(put(folder, "tranche.1", b, help_man_tranche(b, o, p->v, p->n, e), e));
    TRY(put(folder, "tranche-worker.1", b, help_man_worker(b, w, e), e));
    TRY(put(folder, "tranche-job.5", b, help_man_job(b, e), e));
    TRY(put(folder, "tranche.bash", b, help_bash(b, "tranche", o, p->v, p->n, e), e));
    TRY(put(folder, "tranche-worker.bash", b, help_bash_plain(b, "tranche-worker", w, e),
            e));
    TRY(put(folder, "_tranche", b, help_zsh(b, "tranche", o, p->v, p->n, e), e));
    return put(folder, "_tranche-worker", b, help_zsh_plain(b, "tranche-worker", w, e), e);
}

int main(int argc, char **argv)
{
    struct err e = { 0 };
    static struct program p;
    struct buf b = { 0 };
    if (argc != 4) {
        fputs("usage: help_pages TRANCHE TRANCHE-WORKER FOLDER\n", stderr);
        return 2;
    }
    err_t rc = ask_all(argv[1], argv[2], &p, &e);
    if (rc == ERR_OK) rc = write_all(&p, argv[3], &b, &e);
    if (rc != ERR_OK) fprintf(stderr, "help_pages: %s\n", e.text);
    for (size_t i = 0; i < p.n; i++)
        help_free(&p.v[i].help);
    help_free(&p.overview);
    help_free(&p.worker);
    buf_free(&b);
    return rc != ERR_OK;
}

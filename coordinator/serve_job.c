#include "coordinator/serve_job.h"

#include "common/say.h"
#include "coordinator/pipeline_run.h"
#include "coordinator/run.h"
#include "coordinator/submission.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static err_t read_all(struct buf *out, struct err *e)
{
    for (;;) {
        TRY(buf_reserve(out, 64 << 10, e));
        ssize_t n = read(STDIN_FILENO, out->p + out->n, 64 << 10);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(e, "the job cannot be read");
        if (n == 0) return ERR_OK;
        out->n += (size_t)n;
        if (out->n > 2 * SUBMISSION_MAX_BYTES)
            return err_set(e, ERR_TOOBIG, "the job is too long");
    }
}

static err_t take(struct submission *s, struct err *e)
{
    struct buf bytes = { 0 };
    *s = (struct submission){ 0 };
    err_t rc = read_all(&bytes, e);
    if (rc == ERR_OK) rc = submission_decode(s, bytes.p, bytes.n, e);
    if (rc == ERR_OK && chdir(s->folder) != 0)
        rc = err_sys(e, "the folder of the job, %s", s->folder);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (rc == ERR_OK && (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0))
        rc = err_sys(e, "/dev/null");
    if (nothing >= 0) close(nothing);
    buf_free(&bytes);
    return rc;
}

static void mark(struct job *j, int64_t id)
{
    j->served = true;
    j->served_job = id;
}

static int run(struct cli *c, int64_t id, int code)
{
    mark(&c->job, id);
    for (uint32_t i = 0; code < 0 && c->is_pipeline && i < c->pipeline.n; i++)
        mark(&c->pipeline.steps[i].job, id);
    if (code < 0) code = c->is_pipeline ? pipeline_run(&c->pipeline) : run_job(&c->job);
    cli_close(c);
    return code;
}

int serve_job(int argc, char **argv)
{
    struct submission s;
    struct err e;
    struct cli c;
    static char listen_flag[] = "--listen";
    char *more[] = { listen_flag, argc > 2 ? argv[2] : NULL, NULL };
    if (argc < 2 || fcntl(SERVE_JOB_LOCK, F_SETFD, FD_CLOEXEC) != 0) {
        say_to(stderr, "tranche: serve-job is for the server, not for people; "
                       "see 'tranche submit --help'\n");
        return CLI_USAGE;
    }
    setvbuf(stdout, NULL, _IOLBF, 4 << 10); // both go into one log
    setvbuf(stderr, NULL, _IOLBF, 4 << 10);
    err_t rc = take(&s, &e);
    int code = CLI_INFRASTRUCTURE;
    if (rc == ERR_OK)
        code = run(&c, strtoll(argv[1], NULL, 10),
                   submission_read(&s, argc > 2 ? more : NULL, &c, stdout, stderr));
    else
        say_to(stderr, "tranche: %s\n", e.text);
    submission_free(&s);
    return code;
}

#include "worker/xf_exec.h"

#include "common/reason.h"
#include "common/text.h"
#include "worker/last_words.h"
#include "worker/orphans.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    CHILD_MEMORY_MIN = 256 << 20, // an interpreter and its libraries
    ANSWER_MAX = 128 << 20,       // where nothing else limits it
    FRAME_LINE_MAX = 64,
};

static const struct csv_dialect plain = { .delimiter = ',', .quote = '"' };

// ---- one run of the program ----

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a program's input");
}

// Rows [from, to) as text, behind room for a frame's line.
static err_t write_rows(struct xf_exec *x, const struct batch *in, uint32_t from,
                        uint32_t to, struct err *e)
{
    struct batch part = *in; // borrows
    uint32_t row = from;
    part.rows = to;
    x->input.n = 0;
    TRY(buf_reserve(&x->input, 256 << 10, e));
    x->input.n = FRAME_LINE_MAX;
    struct region r = { .p = x->input.p, .cap = x->input.cap, .n = x->input.n };
    bool header = x->step.format == STEP_CSV;
    while (header || row < to) {
        if (header && csv_write_header(x->csv, &r, NULL) == ERR_OK) header = false;
        if (!header && x->csv) TRY(csv_write_rows(x->csv, &part, &row, &r, e));
        if (x->jsonl) jsonl_write_rows(x->jsonl, &part, &row, &r);
        x->input.n = r.n;
        if (!header && row == to) break;
        if (buf_reserve(&x->input, x->input.cap, NULL) != ERR_OK) return no_memory(e);
        r = (struct region){ .p = x->input.p, .cap = x->input.cap, .n = x->input.n };
    }
    return ERR_OK;
}

static struct slice framed(struct xf_exec *x, uint32_t rows)
{
    char line[FRAME_LINE_MAX];
    size_t bytes = x->input.n - FRAME_LINE_MAX;
    int n = snprintf(line, sizeof line, "tranche-batch %zu %u\n", bytes, rows);
    uint8_t *at = x->input.p + FRAME_LINE_MAX - n;
    memcpy(at, line, (size_t)n);
    return (struct slice){ at, bytes + (size_t)n };
}

static struct slice unframed(const struct xf_exec *x)
{
    return (struct slice){ x->input.p + FRAME_LINE_MAX, x->input.n - FRAME_LINE_MAX };
}

static err_t start(struct xf_exec *x, struct err *e)
{
    const char *dir = x->step.dir && *x->step.dir ? x->step.dir : x->scratch.room;
    struct child_plan plan = { .name = x->step.argv.v[0],
                               .argv = x->argv_list,
                               .env = x->env_list,
                               .dir = x->beside[0] ? x->beside : dir,
                               .scratch = x->scratch.room,
                               .sandbox = &x->sandbox,
                               .memory_bytes = x->memory_bytes };
    x->child.cannot_run = false;
    TRY(scratch_empty(&x->scratch, e));
    return child_start(&x->child, &plan, e);
}

static bool is_whole(void *arg, const struct buf *answer)
{
    struct xf_exec_frame f;
    (void)arg;
    return xf_exec_frame(answer->p + CSV_PAD, answer->n - CSV_PAD, &f) != FRAMING_PART;
}

// A program of Python that lacks a library here: as if it could not be run at all.
static bool lacks_module(const struct xf_exec *x, int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 1 && x->answer.n == CSV_PAD &&
           last_words_lack_module(x->child.tail, x->child.tail_n);
}

static err_t say_end(struct xf_exec *x, int status, struct err *e)
{
    char words[LAST_WORDS], how[80];
    const char *said = last_words(x->child.tail, x->child.tail_n, words);
    if (lacks_module(x, status)) {
        x->child.cannot_run = true;
        return err_set(e, ERR_INVALID, "cannot run '%.100s': %s", x->step.argv.v[0], said);
    }
    if (WIFEXITED(status) && reason_place(said)) // a traceback says how it ended
        return err_set(e, ERR_TRANSFORM, "%s", said);
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "ended with exit code %d", WEXITSTATUS(status));
    return err_set(e, ERR_TRANSFORM, "'%.100s' %s%s%s", x->step.argv.v[0], how,
                   *said ? "; its last words:\n" : " and said nothing on stderr", said);
}

static err_t wrap(const struct xf_exec *x, err_t rc, struct err *e)
{
    char words[LAST_WORDS], what[200];
    if (rc != ERR_TIMEOUT && rc != ERR_TRANSFORM)
        return err_wrap(e, rc, "'%.100s'", x->step.argv.v[0]);
    const char *said = last_words(x->child.tail, x->child.tail_n, words);
    snprintf(what, sizeof what, "%.199s",
             rc == ERR_TIMEOUT ? "took longer than limits.timeout and was stopped"
             : e               ? e->text
                               : "");
    return err_set(e, rc, "'%.100s' %s%s%s", x->step.argv.v[0], what,
                   *said ? "; its last words:\n" : "", said);
}

static err_t pad_answer(struct buf *b, struct err *e)
{
    TRY(buf_reserve(b, CSV_PAD, e));
    memset(b->p + b->n, 0, CSV_PAD);
    return ERR_OK;
}

static err_t begin_answer(struct buf *b, struct err *e)
{
    b->n = 0;
    TRY(pad_answer(b, e));
    b->n = CSV_PAD;
    return ERR_OK;
}

static err_t once(struct xf_exec *x, ns_t deadline, struct slice *body, struct err *e)
{
    bool ended;
    int status;
    struct child_talk t = { .input = unframed(x),
                            .close_in = true,
                            .answer = &x->answer,
                            .max_bytes = x->max_bytes };
    TRY(start(x, e));
    err_t rc = child_talk(&x->child, &t, deadline, &ended, &status, e);
    if (rc != ERR_OK) return wrap(x, rc, e);
    if (status) return say_end(x, status, e);
    *body = (struct slice){ x->answer.p + CSV_PAD, x->answer.n - CSV_PAD };
    return ERR_OK;
}

static err_t say_bad_frame(struct xf_exec *x, struct err *e)
{
    char shown[TEXT_QUOTED], start_of[48];
    size_t n = x->answer.n - CSV_PAD;
    n = n < sizeof start_of - 1 ? n : sizeof start_of - 1;
    memcpy(start_of, x->answer.p + CSV_PAD, n);
    start_of[n] = 0;
    return err_set(e, ERR_TRANSFORM,
                   "'%.100s' answered %s instead of a line 'tranche-batch BYTES ROWS'",
                   x->step.argv.v[0], text_quoted(start_of, shown));
}

static err_t take_frame(struct xf_exec *x, struct slice *body, uint64_t *rows,
                        struct err *e)
{
    struct xf_exec_frame f;
    const uint8_t *p = x->answer.p + CSV_PAD;
    size_t n = x->answer.n - CSV_PAD;
    if (xf_exec_frame(p, n, &f) != FRAMING_WHOLE) return say_bad_frame(x, e);
    if (n > f.head + f.bytes)
        return err_set(
            e, ERR_TRANSFORM,
            "'%.100s' wrote %zu bytes more than it announced; prints go to stderr",
            x->step.argv.v[0], n - f.head - f.bytes);
    *body = (struct slice){ p + f.head, f.bytes };
    *rows = f.rows;
    if (!f.error) return ERR_OK;
    char words[LAST_WORDS];
    const char *said = last_words((const char *)body->p, body->n, words);
    if (reason_place(said)) return err_set(e, ERR_TRANSFORM, "%s", said);
    return err_set(e, ERR_TRANSFORM, "'%.100s': %s", x->step.argv.v[0], said);
}

// A program that answered what it may not is not asked again.
static err_t again(struct xf_exec *x, uint32_t n_rows, ns_t deadline, struct slice *body,
                   uint64_t *rows, struct err *e)
{
    bool ended;
    int status;
    struct child_talk t = { .input = framed(x, n_rows),
                            .answer = &x->answer,
                            .max_bytes = x->max_bytes,
                            .whole = is_whole };
    if (x->child.pid == 0) TRY(start(x, e));
    x->child.tail_n = 0;
    err_t rc = child_talk(&x->child, &t, deadline, &ended, &status, e);
    if (rc != ERR_OK) return wrap(x, rc, e);
    if (ended && !is_whole(NULL, &x->answer)) return say_end(x, status, e);
    rc = take_frame(x, body, rows, e);
    struct xf_exec_frame f;
    if (rc != ERR_OK && !(xf_exec_frame(x->answer.p + CSV_PAD, x->answer.n - CSV_PAD, &f) ==
                              FRAMING_WHOLE &&
                          f.error))
        child_kill(&x->child);
    return rc;
}

// Rows [from, to) of a batch through the program; *body is what it wrote.
static err_t converse(struct xf_exec *x, const struct batch *in, uint32_t from, uint32_t to,
                      ns_t deadline, struct slice *body, uint64_t *rows, struct err *e)
{
    *rows = UINT64_MAX;
    TRY(begin_answer(&x->answer, e));
    TRY(write_rows(x, in, from, to, e));
    TRY(x->step.persistent ? again(x, to - from, deadline, body, rows, e)
                           : once(x, deadline, body, e));
    size_t at = (size_t)(body->p - x->answer.p);
    TRY(pad_answer(&x->answer, e));
    body->p = x->answer.p + at;
    return ERR_OK;
}

// ---- the transform ----

static void close_exec(void **state)
{
    struct xf_exec *x = *state;
    *state = NULL;
    if (!x) return;
    child_end(&x->child);
    if (x->has_sandbox) sandbox_close(&x->sandbox);
    if (x->scratch.dir[0]) scratch_close(&x->scratch);
    xf_exec_clear_out(x);
    csv_writer_free(&x->csv);
    jsonl_writer_free(&x->jsonl);
    csv_reader_free(&x->reader);
    if (x->json_reader) reader_jsonl.close(&x->json_reader);
    schema_free(&x->in);
    schema_free(&x->out);
    strings_free(&x->argv);
    strings_free(&x->env);
    free(x->argv_list);
    free(x->env_list);
    buf_free(&x->input);
    buf_free(&x->answer);
    step_free(&x->step);
    free(x);
}

// Strict programs read the system, the job's folder, their own files and the environments
// that hold their libraries.
static err_t open_sandbox(struct xf_exec *x, const struct spec *spec, struct err *e)
{
    const char *paths[5 + FILE_SET_MAX];
    size_t n = 0;
    paths[n++] = x->step.dir;
    paths[n++] = getenv("VIRTUAL_ENV");
    paths[n++] = getenv("CONDA_PREFIX");
    paths[n++] = x->beside;
    for (size_t i = 0; i < x->step.n_files && i < FILE_SET_MAX; i++)
        paths[n++] = spec->files.v[x->step.files[i].file].path;
    TRY(sandbox_open(&x->sandbox, x->step.sandbox, x->scratch.room, paths, n, e));
    x->has_sandbox = true;
    return ERR_OK;
}

static void set_limits(struct xf_exec *x, const struct spec *spec)
{
    uint64_t memory = spec->memory_bytes;
    if (memory) x->memory_bytes = memory < CHILD_MEMORY_MIN ? CHILD_MEMORY_MIN : memory;
    uint64_t most = spec->result_max_bytes;
    if (most == 0) most = ANSWER_MAX;
    if (memory && most > memory / 4) most = memory / 4; // its buffer may have twice that
    x->max_bytes = (size_t)most;
}

static err_t open_parts(struct xf_exec *x, const struct spec *spec, const struct schema *in,
                        const struct step *step, struct err *e)
{
    TRY(step_copy(&x->step, step, e));
    TRY(schema_copy(&x->in, in, e));
    TRY(schema_copy(&x->out, &step->out, e));
    set_limits(x, spec);
    TRY(scratch_open(&x->scratch, e));
    TRY(xf_exec_lay_out(x, spec, e));
    TRY(open_sandbox(x, spec, e));
    TRY(xf_exec_arguments(x, spec, e));
    if (step->format == STEP_JSONL) return jsonl_writer_new(&x->jsonl, in, e);
    return csv_writer_new(&x->csv, &plain, in, e);
}

static err_t open_any(struct xf_exec **out, bool sample, const struct spec *spec,
                      const struct schema *in, const struct step *step, struct err *e)
{
    void *state = *out = calloc(1, sizeof **out);
    if (!state) return err_set(e, ERR_NOMEM, "out of memory: a transform");
    (*out)->scratch.lock = (*out)->sandbox.rules = -1;
    (*out)->sample = sample;
    orphans_adopt();
    err_t rc = open_parts(*out, spec, in, step, e);
    if (rc == ERR_OK) return ERR_OK;
    close_exec(&state);
    *out = NULL;
    return rc;
}

// The run said what the sandbox is like where it was planned; here it may be weaker.
static void say_sandbox(const struct xf_exec *x)
{
    static atomic_bool said;
    const char *planned = x->step.said;
    if (!planned || !*planned || strcmp(planned, x->sandbox.said) == 0) return;
    if (!atomic_exchange(&said, true))
        fprintf(stderr, "exec %.100s: on this host: sandbox %s\n", x->step.argv.v[0],
                x->sandbox.said);
}

static err_t open_exec(void **state, const struct spec *spec, const struct schema *in,
                       const struct step *step, bool *want, struct schema *out_schema,
                       struct err *e)
{
    struct xf_exec *x;
    *state = NULL;
    if (step->out.n == 0)
        return err_set(e, ERR_TRANSFORM, "the columns that '%.100s' gives are not known",
                       step->argv.v[0]);
    TRY(open_any(&x, false, spec, in, step, e));
    say_sandbox(x);
    for (uint32_t i = 0; i < in->n; i++)
        want[i] = true;
    err_t rc = step->format == STEP_JSONL
                   ? xf_exec_json_open(x, e)
                   : csv_reader_new(&x->reader, &plain, &x->out, NULL, e);
    if (rc == ERR_OK) rc = schema_copy(out_schema, &x->out, e);
    *state = x;
    if (rc != ERR_OK) close_exec(state);
    return rc;
}

static err_t apply_exec(void *state, const struct batch *in, struct batch *out,
                        ns_t deadline, struct err *e)
{
    struct xf_exec *x = state;
    struct slice body;
    uint64_t rows;
    assert(in->n_cols == x->in.n);
    err_t rc = converse(x, in, 0, in->rows, deadline, &body, &rows, e);
    if (rc == ERR_INVALID)
        return err_wrap(e, x->child.cannot_run ? ERR_UNFIT : ERR_TRANSFORM, "exec");
    TRY(rc);
    rc = xf_exec_rows(x, body.p, body.n, out, e);
    if (rc == ERR_OK && rows != UINT64_MAX && rows != out->rows)
        rc = err_set(e, ERR_TRANSFORM, "it announced %llu rows and wrote %u",
                     (unsigned long long)rows, out->rows);
    return rc == ERR_TRANSFORM ? err_wrap(e, rc, "'%.100s'", x->step.argv.v[0]) : rc;
}

static ns_t cpu_exec(void *state)
{
    struct xf_exec *x = state;
    return cpu_meter_read(&x->child.cpu, x->child.pid);
}

const struct transform_ops transform_exec = { .name = "exec",
                                              .waits = true,
                                              .open = open_exec,
                                              .apply = apply_exec,
                                              .cpu_ns = cpu_exec,
                                              .close = close_exec };

// ---- what columns it gives ----

enum { LEARN_ROWS = 1000, LEARN_TRIES = 12, FEW = 10 };
static const ns_t LEARN_TIME = 20 * NS_S;

static err_t try_rows(struct xf_exec *x, const struct batch *sample, uint32_t from,
                      uint32_t to, struct schema *out, struct err *e)
{
    struct slice body;
    uint64_t rows;
    ns_t deadline = clock_ns() + x->learn_time;
    if (deadline > x->learn_until) deadline = x->learn_until;
    err_t rc = converse(x, sample, from, to, deadline, &body, &rows, e);
    if (rc == ERR_TIMEOUT)
        err_set(
            e, rc,
            "'%.100s' gave no answer to %u rows of the input within %lld ms, so that its "
            "columns are not known",
            x->step.argv.v[0], to - from, (long long)(x->learn_time / NS_MS));
    TRY(rc);
    rc = xf_exec_columns(x->step.format, body.p, body.n, out, e);
    return rc == ERR_TRANSFORM ? err_wrap(e, rc, "'%.100s'", x->step.argv.v[0]) : rc;
}

// A row that the program cannot take says nothing against the job: it will be isolated. So
// what fails is tried in smaller parts, at last on no row at all.
static err_t try_parts(struct xf_exec *x, const struct batch *sample, struct schema *out,
                       struct err *e)
{
    struct err ignored;
    uint32_t all = sample->rows < LEARN_ROWS ? sample->rows : LEARN_ROWS;
    err_t first = try_rows(x, sample, 0, all, out, e), rc = first;
    int tries = 1;
    if (rc == ERR_TIMEOUT)
        rc = try_rows(x, sample, 0, all < FEW ? all : FEW, out, &ignored);
    if (first == ERR_TIMEOUT) return rc == ERR_OK ? rc : first;
    for (uint32_t step = all / 2; step && tries < LEARN_TRIES; step /= 2)
        for (uint32_t from = 0; from < all && tries < LEARN_TRIES; from += step, tries++) {
            if (rc == ERR_OK || rc == ERR_INVALID || rc == ERR_NOMEM) return rc;
            uint32_t to = from + step < all ? from + step : all;
            rc = try_rows(x, sample, from, to, out, &ignored);
        }
    if (rc == ERR_OK || rc == ERR_INVALID || rc == ERR_NOMEM) return rc;
    if (all) rc = try_rows(x, sample, 0, 0, out, &ignored);
    return rc == ERR_OK ? rc : first;
}

err_t xf_exec_learn(const struct spec *spec, struct step *step, const struct schema *in,
                    const struct batch *sample, struct err *e)
{
    struct xf_exec *x;
    TRY(open_any(&x, true, spec, in, step, e));
    ns_t limit = (ns_t)spec->timeout_ms * NS_MS;
    x->learn_until = clock_ns() + XF_EXEC_LEARN_TIME - 5 * NS_S; // time to end it politely
    x->learn_time = limit < LEARN_TIME ? limit : LEARN_TIME;
    err_t rc = try_parts(x, sample, &step->out, e);
    if (rc == ERR_TIMEOUT) rc = ERR_TRANSFORM;
    if (rc == ERR_OK && !(step->said = strdup(x->sandbox.said)))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    void *state = x;
    close_exec(&state);
    return rc;
}

// The queue of a server and the logs of its jobs while each call to the C library and
// SQLite fails once: nothing has changed then, and the same again does it.

#include "coordinator/backlog.h"
#include "coordinator/job_log.h"
#include "coordinator/run_lock.h"
#include "tests/failing_calls.h"
#include "tests/source_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "no_space", FAILING_FILES | FAILING_SQLITE, ENOSPC, SQLITE_FULL, false },
    { "interrupted", FAILING_FILES, EINTR, SQLITE_OK, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

static struct folder top;
static char dir[PATH_SPACE], logs[PATH_SPACE];
static struct err e;
static struct backlog *b;
static int64_t job;
static uint64_t token;

// A number is always bound, and nobody asks whether it was.
static bool cannot_be(void)
{
    return strcmp(failing.was, "sqlite3_bind_int64") == 0;
}

static void is_told(void *arg, err_t rc, const struct err *why)
{
    static const err_t may[] = { ERR_OK, ERR_NOMEM, ERR_IO, ERR_DB, ERR_FULL, ERR_BUSY };
    (void)arg;
    if (cannot_be()) return;
    for (size_t i = 0; i < N_OF(may); i++)
        if (rc == may[i]) return;
    fail_msg("%s failed: %s (%s)", failing.was, err_name(rc), why->text);
}

// ---- steps

static err_t open_queue(void *arg, struct err *why)
{
    char note[200];
    (void)arg;
    TRY(backlog_open(&b, dir, note, sizeof note, why));
    backlog_close(&b);
    return ERR_OK;
}

static err_t add(void *arg, struct err *why)
{
    bool again;
    (void)arg;
    struct backlog_new n = { .token = { token, 1 },
                             .priority = BACKLOG_PRIORITY,
                             .name = "name",
                             .owner = "me",
                             .folder = "/tmp",
                             .file = "job.yaml",
                             .loads = "sqlite:a t\n",
                             .spec = { (const uint8_t *)"spec", 4 } };
    return backlog_add(b, &n, &job, &again, why);
}

static bool any(void *arg, const char *loads)
{
    (void)arg, (void)loads;
    return true;
}

static err_t next(void *arg, struct err *why)
{
    int64_t id;
    (void)arg;
    TRY(backlog_next(b, any, NULL, &id, why));
    EQ_I64(job, id);
    return ERR_OK;
}

static err_t spec(void *arg, struct err *why)
{
    struct buf text = { 0 }, loads = { 0 };
    (void)arg;
    err_t rc = backlog_spec(b, job, &text, &loads, why);
    if (rc == ERR_OK) assert_string_equal("sqlite:a t\n", (char *)loads.p);
    buf_free(&text);
    buf_free(&loads);
    return rc;
}

static err_t start(void *arg, struct err *why)
{
    (void)arg;
    return backlog_start(b, job, why);
}
static err_t requeue(void *arg, struct err *why)
{
    (void)arg;
    return backlog_requeue(b, job, why);
}
static err_t recover(void *arg, struct err *why)
{
    uint32_t n;
    (void)arg;
    return backlog_recover(b, &n, why);
}
static err_t end(void *arg, struct err *why)
{
    char run[40];
    (void)arg;
    TRY(backlog_run_of(b, "nobody@here", 0, run, why));
    return backlog_end(b, job, 3, run, "", why);
}
static err_t cancel(void *arg, struct err *why)
{
    bool runs;
    (void)arg;
    return backlog_cancel(b, job, &runs, why);
}

static bool note_state(void *arg, const struct backlog_job *j)
{
    *(enum backlog_state *)arg = j->state;
    return true;
}

static err_t look(void *arg, struct err *why)
{
    enum backlog_state seen;
    (void)arg;
    return backlog_each(b, 0, 100, note_state, &seen, why);
}

static enum backlog_state state_now(void)
{
    enum backlog_state seen = BACKLOG_N_STATES;
    PASS(&e, backlog_each(b, job, 1, note_state, &seen, &e));
    return seen;
}

// ---- moves: the state is the one before, or the one behind

struct move {
    enum backlog_state from, to;
};

static void back(enum backlog_state from)
{
    if (state_now() == from) return;
    token++;
    PASS(&e, add(NULL, &e));
    if (from == BACKLOG_RUNNING) PASS(&e, start(NULL, &e));
}

static void after_move(void *arg, err_t rc, const struct err *why)
{
    const struct move *m = arg;
    enum backlog_state now = state_now();
    is_told(arg, rc, why);
    if (!cannot_be() && now != m->to && (rc == ERR_OK || now != m->from))
        fail_msg("%s failed, and the job is %s", failing.was, backlog_state_text(now));
    back(m->from);
}

static void try_move(const struct failing_way *way, no_memory_fn *step,
                     enum backlog_state from, enum backlog_state to)
{
    struct move m = { from, to };
    back(from);
    failing_ladder(way, step, after_move, &m);
    EQ_I64(to, state_now());
}

static void open_all(void)
{
    char note[200];
    struct run_lock *l;
    top = folder_new();
    in_folder(&top, "state", dir);
    in_folder(&top, "logs", logs);
    assert_int_equal(0, mkdir(logs, 0700));
    PASS(&e, run_lock_take(&l, dir, "k", &e)); // makes the folder
    run_lock_release(&l);
    PASS(&e, backlog_open(&b, dir, note, sizeof note, &e));
    token = 1;
    PASS(&e, add(NULL, &e));
}

static void a_move_is_made_or_told(void **state)
{
    const struct failing_way *way = *state;
    open_all();
    failing_ladder(way, add, is_told, NULL); // the same one again
    failing_ladder(way, next, is_told, NULL);
    failing_ladder(way, spec, is_told, NULL);
    failing_ladder(way, look, is_told, NULL);
    try_move(way, start, BACKLOG_QUEUED, BACKLOG_RUNNING);
    try_move(way, requeue, BACKLOG_RUNNING, BACKLOG_QUEUED);
    try_move(way, recover, BACKLOG_RUNNING, BACKLOG_QUEUED);
    try_move(way, cancel, BACKLOG_QUEUED, BACKLOG_CANCELLED);
    try_move(way, end, BACKLOG_RUNNING, BACKLOG_ENDED);
    backlog_close(&b);
    failing_ladder(way, open_queue, is_told, NULL);
    folder_rm(&top);
}

// ---- logs

static err_t write_log(void *arg, struct err *why)
{
    struct job_log l;
    (void)arg;
    TRY(job_log_open(&l, logs, 7, why));
    err_t rc = job_log_add(&l, "0123456789", 10, why);
    job_log_close(&l);
    return rc;
}

static uint64_t read_to(uint64_t at)
{
    struct buf out = { 0 };
    uint64_t end;
    PASS(&e, job_log_read(logs, 7, &at, 100, &out, &end, &e));
    buf_free(&out);
    return end;
}

static err_t read_log(void *arg, struct err *why)
{
    struct buf out = { 0 };
    uint64_t at = 5, end_of_it;
    (void)arg;
    err_t rc = job_log_read(logs, 7, &at, 3, &out, &end_of_it, why);
    if (rc == ERR_OK && (at != 5 || out.n != 3 || memcmp(out.p, "567", 3) != 0))
        fail_msg("%s failed: %zu bytes from %llu", failing.was, out.n,
                 (unsigned long long)at);
    buf_free(&out);
    return rc;
}

static void a_log_is_written_and_read_or_it_is_told(void **state)
{
    open_all();
    failing_ladder(*state, write_log, is_told, NULL);
    assert_true(read_to(0) >= 10);
    failing_ladder(*state, read_log, is_told, NULL);
    backlog_close(&b);
    folder_rm(&top);
}

// What a crash may have left: a third part, and what is none.
static void put_part(const char *name, const char *text)
{
    char path[PATH_SPACE];
    put_text(&top, name, text);
    assert_int_equal(0, access(in_folder(&top, name, path), F_OK));
}

static void the_newest_two_parts_of_a_log_are_read(void **state)
{
    (void)state;
    char path[PATH_SPACE];
    struct buf out = { 0 };
    uint64_t at = 0, end_of_it;
    open_all();
    assert_int_equal(0, mkdir(in_folder(&top, "logs/7", path), 0700));
    static const char *const order[] = { "logs/7/00000000000000000020.log",
                                         "logs/7/00000000000000000000.log",
                                         "logs/7/00000000000000000010.log" };
    for (size_t i = 0; i < N_OF(order); i++)
        put_part(order[i], "abcdefghij");
    put_part("logs/7/5.txt", "x");
    put_part("logs/7/x.log", "x");
    PASS(&e, job_log_read(logs, 7, &at, 100, &out, &end_of_it, &e));
    EQ_I64(10, at);
    EQ_I64(30, end_of_it);
    EQ_I64(10, out.n);
    buf_free(&out);
    at = 99;
    PASS(&e, job_log_read(logs, 7, &at, 100, &out, &end_of_it, &e));
    EQ_I64(30, at);
    buf_free(&out);
    // A folder in the place of a part cannot be read as one.
    assert_int_equal(0, unlink(in_folder(&top, order[0], path)));
    assert_int_equal(0, mkdir(path, 0700));
    at = 25;
    EXPECT(ERR_IO, &e, job_log_read(logs, 7, &at, 100, &out, &end_of_it, &e));
    buf_free(&out);
    backlog_close(&b);
    folder_rm(&top);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(the_newest_two_parts_of_a_log_are_read),
    };
    int failed =
        test_main("queue", NULL, 0, TABLE(FAILS, a_move_is_made_or_told), N_OF(FAILS));
    return failed + test_main("logs", plain, N_OF(plain),
                              TABLE(FAILS, a_log_is_written_and_read_or_it_is_told),
                              N_OF(FAILS));
}

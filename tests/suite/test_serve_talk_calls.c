// What clients of a server ask while each call to the C library and SQLite fails once: an
// answer that says so, and the same question again is answered. And those who break the
// rules, ask nonsense, or wait.

#include "tests/serve_kit.h"

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "no_space", FAILING_FILES | FAILING_SQLITE, ENOSPC, SQLITE_FULL, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
};

static struct err e;
static const char RANGE_JOB[] = "--range|3|--into|null:";

static int fresh(void **state)
{
    (void)state;
    serve_kit_open();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    serve_kit_close();
    return 0;
}

// ---- questions

// Leaves the answer in `line`; what a refusal says becomes the error.
static err_t ask(const struct msg *m, struct err *why)
{
    struct came *c = &line.in[SERVE_IPC];
    c->rc = ERR_OK;
    c->m = *m;
    c->from = (struct link_peer){ .n = 5, .id = { 1, 2, 3, 4, 5 } };
    line.waits[SERVE_IPC] = true;
    line.answers = line.posts = 0;
    if (!serve_take_messages(server)) fail_msg("nothing was received");
    if (line.answers + line.posts == 0) fail_msg("there was no answer");
    if (line.said.type != MSG_REFUSED) return ERR_OK;
    return err_set(why, (err_t)line.said.REFUSED.code, "%s", line.text);
}

static void submission(const char *folder, const char *words)
{
    struct came *c = &line.in[SERVE_IPC];
    buf_free(&c->payload);
    c->payload = serve_kit_job(folder, words);
}

static uint64_t token;

static struct msg submit(uint64_t priority)
{
    return (struct msg){ .type = MSG_SUBMIT,
                         .SUBMIT = { .token = { token, 5 }, .priority = priority } };
}

static err_t submit_one(void *arg, struct err *why)
{
    (void)arg;
    struct msg m = submit(BACKLOG_PRIORITY);
    TRY(ask(&m, why));
    EQ_I64(MSG_TAKEN, line.said.type);
    return ERR_OK;
}

static err_t list(void *arg, struct err *why)
{
    struct msg m = { .type = MSG_LIST, .LIST = { .most = 5000 } };
    (void)arg;
    TRY(ask(&m, why));
    EQ_I64(MSG_DONE, line.said.type);
    EQ_I64(line.posts, line.said.DONE.count);
    return ERR_OK;
}

static err_t watch(void *arg, struct err *why)
{
    struct msg m = { .type = MSG_WATCH, .sid = 9, .WATCH = { *(uint64_t *)arg } };
    return ask(&m, why);
}

static err_t read_log(void *arg, struct err *why)
{
    struct msg m = { .type = MSG_READ,
                     .sid = 9,
                     .READ = { .job = *(uint64_t *)arg, .follow = true } };
    TRY(ask(&m, why));
    EQ_I64(6, line.said_payload.n);
    return ERR_OK;
}

static err_t cancel(void *arg, struct err *why)
{
    struct msg m = { .type = MSG_ABORT, .ABORT = { *(uint64_t *)arg } };
    return ask(&m, why);
}

static err_t crew(void *arg, struct err *why)
{
    struct msg m = { .type = MSG_CREW, .CREW = { 5000 } };
    (void)arg;
    return ask(&m, why);
}

// ---- each call fails once

static void is_told(void *arg, err_t rc, const struct err *why)
{
    static const err_t may[] = { ERR_OK, ERR_NOMEM, ERR_IO, ERR_DB, ERR_FULL, ERR_BUSY };
    (void)arg;
    if (strcmp(failing.was, "sqlite3_bind_int64") == 0) return; // a number is always bound
    for (size_t i = 0; i < N_OF(may); i++)
        if (rc == may[i]) return;
    fail_msg("%s failed: %s (%s)", failing.was, err_name(rc), why->text);
}

// Whatever came of it: asked again it is in the queue, once, and the server is where it
// was.
static void after_submit(void *arg, err_t rc, const struct err *why)
{
    char at[SERVE_PATH];
    uint64_t before = line.said.TAKEN.job;
    is_told(arg, rc, why);
    PASS(&e, submit_one(NULL, &e));
    if (rc == ERR_OK) assert_true(line.said.TAKEN.again && line.said.TAKEN.job == before);
    EQ_I64(token, serve_kit_look(0).n);
    assert_string_equal(server->state, getcwd(at, sizeof at));
    token++;
}

static void after_cancel(void *arg, err_t rc, const struct err *why)
{
    uint64_t *job = arg;
    is_told(arg, rc, why);
    struct serve_kit_seen s = serve_kit_look((int64_t)*job);
    assert_true(rc != ERR_OK || s.state == BACKLOG_CANCELLED);
    if (s.state == BACKLOG_CANCELLED) *job = (uint64_t)serve_kit_queue("");
}

static uint64_t with_log(void)
{
    struct job_log log;
    uint64_t job = (uint64_t)serve_kit_queue("");
    PASS(&e, job_log_open(&log, server->logs, (int64_t)job, &e));
    PASS(&e, job_log_add(&log, "hello\n", 6, &e));
    job_log_close(&log);
    return job;
}

static void what_fails_is_told_and_the_next_answer_is_right(void **state)
{
    const struct failing_way *way = *state;
    fresh(NULL);
    token = 1;
    submission(top.path, RANGE_JOB);
    assert_true(failing_ladder(way, submit_one, after_submit, NULL) > 5);
    uint64_t job = with_log();
    failing_ladder(way, list, is_told, NULL);
    failing_ladder(way, watch, is_told, &job);
    failing_ladder(way, read_log, is_told, &job);
    failing_ladder(way, crew, is_told, NULL);
    failing_ladder(way, cancel, after_cancel, &job);
    EQ_I64(BACKLOG_CANCELLED, serve_kit_look((int64_t)job).state);
    finish(NULL);
}

// ---- questions that have no good answer

static const struct bad_row {
    const char *name;
    struct msg m;
    const char *words; // of a job
    bool damaged, stopping;
    err_t want;
    const char *says;
} BAD[] = {
    { "a_job_that_is_there_not",
      { .type = MSG_WATCH, .WATCH = { 77 } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 77; 'tranche jobs' lists them" },
    { "job_0",
      { .type = MSG_WATCH, .WATCH = { 0 } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 0; 'tranche jobs' lists them" },
    { "a_number_that_is_none",
      { .type = MSG_WATCH, .WATCH = { UINT64_MAX } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 18446744073709551615; 'tranche jobs' lists them" },
    { "to_cancel_job_0",
      { .type = MSG_ABORT, .ABORT = { 0 } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 0; 'tranche jobs' lists them" },
    { "to_cancel_a_number_that_is_none",
      { .type = MSG_ABORT, .ABORT = { UINT64_MAX } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 18446744073709551615; 'tranche jobs' lists them" },
    { "the_log_of_job_0",
      { .type = MSG_READ },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 0; 'tranche jobs' lists them" },
    { "the_log_of_a_number_that_is_none",
      { .type = MSG_READ, .READ = { .job = UINT64_MAX } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 18446744073709551615; 'tranche jobs' lists them" },
    { "the_log_of_a_job_that_is_not_there",
      { .type = MSG_READ, .READ = { .job = 77 } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "there is no job 77; 'tranche jobs' lists them" },
    { "no_question",
      { .type = MSG_PONG },
      NULL,
      false,
      false,
      ERR_PROTO,
      "PONG is no question of a client" },
    { "a_damaged_job",
      { .type = MSG_SUBMIT },
      RANGE_JOB,
      true,
      false,
      ERR_PROTO,
      "the job arrived damaged" },
    { "bytes_that_are_no_job",
      { .type = MSG_SUBMIT },
      NULL,
      false,
      false,
      ERR_PROTO,
      NULL },
    { "a_priority_over_all",
      { .type = MSG_SUBMIT, .SUBMIT = { .priority = 101 } },
      RANGE_JOB,
      false,
      false,
      ERR_INVALID,
      "a priority is 0 to 100" },
    { "a_server_that_is_stopping",
      { .type = MSG_SUBMIT },
      RANGE_JOB,
      false,
      true,
      ERR_CLOSED,
      "the server is stopping; submit it to the next one" },
    { "a_mistake_in_the_job",
      { .type = MSG_SUBMIT },
      "--range|none|--into|null:",
      false,
      false,
      ERR_INVALID,
      NULL },
    { "help_is_no_job", { .type = MSG_SUBMIT }, "--help", false, false, ERR_INVALID, NULL },
    { "workers_of_other_hosts_without_a_port",
      { .type = MSG_SUBMIT },
      "--range|3|--into|null:|--workers|remote",
      false,
      false,
      ERR_INVALID,
      NULL },
    { "a_worker_that_is_not_there",
      { .type = MSG_RETIRE, .RETIRE = { { "w", 1 } } },
      NULL,
      false,
      false,
      ERR_INVALID,
      "no job that runs has a worker 'w'; 'tranche workers' lists them" },
};

static void a_bad_question_is_told(void **state)
{
    const struct bad_row *row = *state;
    struct err why = { 0 };
    fresh(NULL);
    if (row->words) submission(top.path, row->words);
    line.in[SERVE_IPC].damaged = row->damaged;
    server->stopping = row->stopping;
    EXPECT(row->want, &why, ask(&row->m, &why));
    assert_true(*why.text);
    if (row->says) assert_string_equal(row->says, why.text);
    EQ_I64(0, serve_kit_look(0).n);
    line.in[SERVE_IPC].damaged = false;
    finish(NULL);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    (void)state;
    submission("/no/such", RANGE_JOB);
    EXPECT(ERR_IO, &e, submit_one(NULL, &e));
    assert_non_null(strstr(e.text, "the folder /no/such, where the server runs"));
}

// ---- the line

static void a_line_that_takes_no_answer_is_told_once_it_matters(void **state)
{
    static const struct {
        err_t rc;
        unsigned told;
    } rows[] = { { ERR_BUSY, 0 }, { ERR_CLOSED, 0 }, { ERR_NOMEM, 1 } };
    (void)state;
    struct msg m = { .type = MSG_LIST, .LIST = { .most = 3 } };
    opts.output = OUTPUT_HUMAN;
    for (size_t i = 0; i < N_OF(rows); i++) {
        line.sends = rows[i].rc;
        heard.lines = 0;
        PASS(&e, ask(&m, &e));
        EQ_I64(rows[i].told, heard.lines);
    }
    line.sends = ERR_OK;
    assert_string_equal("tranche: the line is busy\n", heard.text);
    opts.output = OUTPUT_QUIET;
}

static void a_broken_line_is_said_once(void **state)
{
    (void)state;
    heard.lines = 0;
    for (int i = 0; i < 2; i++) {
        line.in[SERVE_IPC].rc = ERR_IO;
        line.waits[SERVE_IPC] = true;
        assert_false(serve_take_messages(server));
    }
    EQ_I64(1, heard.lines);
    assert_string_equal("tranche: what came is broken; trying again\n", heard.text);
    line.in[SERVE_IPC].rc = ERR_PROTO;
    line.in[SERVE_IPC].from = (struct link_peer){ .n = 3 };
    line.waits[SERVE_IPC] = true;
    line.answers = 0;
    assert_true(serve_take_messages(server));
    EQ_I64(1, line.answers);
    line.in[SERVE_IPC].from.n = 0; // it cannot be answered
    line.waits[SERVE_IPC] = true;
    assert_true(serve_take_messages(server));
    EQ_I64(1, line.answers);
}

// ---- clients of other hosts

static char ANNA[GATE_USER], BOB[GATE_USER];

static void open_gate(void)
{
    char dir[SERVE_PATH];
    struct key_pair own, key;
    server->link[SERVE_TCP] = line_link(SERVE_TCP);
    snprintf(dir, sizeof dir, "%s/keys", top.path);
    PASS(&e, keys_coordinator(dir, true, &own, &e));
    PASS(&e, keys_new(&key, &e));
    PASS(&e, keys_allow(dir, "anna", key.public_key, &e));
    PASS(&e, gate_open(&server->gate, dir, &e));
    assert_true(gate_admit(server->gate, key.public_key, KEY_BYTES, "here", ANNA));
    memcpy(BOB, ANNA, sizeof BOB);
    memcpy(BOB, "bob ", 4);
}

static void comes_from(const char *user, enum msg_type type)
{
    struct came *c = &line.in[SERVE_TCP];
    *c = (struct came){ .from = { .n = 2, .id = { 7, 7 } }, .m = { .type = type } };
    snprintf(c->from.user, sizeof c->from.user, "%s", user);
    line.waits[SERVE_TCP] = true;
    line.answers = line.hung_up = 0;
    assert_true(serve_take_messages(server));
}

static void who_breaks_the_rules_three_times_is_shut_out(void **state)
{
    (void)state;
    open_gate();
    for (int i = 1; i <= 3; i++) {
        EQ_I64(0, line.hung_up);
        comes_from(ANNA, MSG_PONG);
        EQ_I64(1, line.answers);
    }
    EQ_I64(1, line.hung_up);
    comes_from(ANNA, MSG_LIST);
    assert_string_equal("the key of this client is not allowed any more", line.text);
    EQ_I64(1, line.hung_up);
}

static void strikes_of_many_are_counted_apart(void **state)
{
    (void)state;
    open_gate();
    for (int i = 0; i < 2 * STRIKERS; i++) {
        snprintf(BOB, sizeof BOB, "b%d x", i);
        line.in[SERVE_TCP] = (struct came){ .rc = ERR_PROTO, .from = { .n = 2 } };
        snprintf(line.in[SERVE_TCP].from.user, GATE_USER, "%s", i % 9 ? BOB : "");
        line.waits[SERVE_TCP] = true;
        line.hung_up = 0;
        assert_true(serve_take_messages(server));
        EQ_I64(0, line.hung_up);
    }
    assert_true(gate_allows(server->gate, ANNA));
}

static unsigned watchers(void)
{
    unsigned n = 0;
    for (int i = 0; i < WATCHERS_MAX; i++)
        n += server->watcher[i].ask != 0;
    return n;
}

static void who_waits_too_long_or_may_not_any_more_is_forgotten(void **state)
{
    (void)state;
    uint64_t job = with_log();
    open_gate();
    PASS(&e, watch(&job, &e));
    PASS(&e, watch(&job, &e)); // the same one
    EQ_I64(1, watchers());
    for (int i = 0; i < 2; i++) {
        line.in[SERVE_TCP].payload = (struct buf){ 0 };
        comes_from(ANNA, MSG_LIST);
    }
    server->watcher[7] = server->watcher[0];
    server->watcher[7].peer.link = SERVE_TCP;
    snprintf(server->watcher[7].peer.user, GATE_USER, "%s", ANNA);
    server->watcher[8] = server->watcher[7];
    server->watcher[8].peer.user[0] = 'x';
    EQ_I64(3, watchers());
    serve_mind_peers(server, clock_ns());
    EQ_I64(2, watchers());
    serve_mind_peers(server, clock_ns() + 61 * NS_S);
    EQ_I64(0, watchers());
}

// The places are taken by those who have waited longest.
static void more_watchers_than_places_take_those_of_the_oldest(void **state)
{
    (void)state;
    uint64_t job[WATCHERS_MAX + 3];
    for (size_t i = 0; i < N_OF(job); i++) {
        job[i] = i ? job[i - 1] : with_log();
        struct came *c = &line.in[SERVE_IPC];
        *c = (struct came){ .from = { .n = (uint8_t)(i % 2 + 1),
                                      .id = { (uint8_t)i, (uint8_t)(i >> 8) } },
                            .m = { .type = MSG_WATCH, .sid = i + 1, .WATCH = { job[i] } } };
        line.waits[SERVE_IPC] = true;
        assert_true(serve_take_messages(server));
    }
    EQ_I64(WATCHERS_MAX, watchers());
    line.posts = 0;
    serve_tell_watchers(server, (int64_t)job[0], false);
    EQ_I64(0, line.posts);
    serve_tell_watchers(server, (int64_t)job[0], true);
    EQ_I64(WATCHERS_MAX, line.posts);
    EQ_I64(0, watchers());
}

// They are told what is wrong instead of nothing.
static void who_waits_is_told_when_the_queue_or_the_log_cannot_be_read(void **state)
{
    (void)state;
    uint64_t job = with_log();
    struct msg m = { .type = MSG_READ,
                     .sid = 3,
                     .READ = { .job = job, .at = 6, .follow = true } };
    PASS(&e, ask(&m, &e)); // nothing more is there yet
    EQ_I64(1, watchers());
    PASS(&e, watch(&job, &e));
    failing_begin(&FAILS[0], 0);
    serve_tell_watchers(server, (int64_t)job, true);
    assert_true(failing_end(&FAILS[0]));
    EQ_I64(0, watchers());
    PASS(&e, watch(&job, &e));
    failing_begin(&FAILS[0], 0);
    serve_tell_watchers(server, (int64_t)job, true);
    assert_true(failing_end(&FAILS[0]));
    EQ_I64(MSG_REFUSED, line.said.type);
    EQ_I64(ERR_DB, line.said.REFUSED.code);
}

int main(void)
{
#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        WITH_SERVER(a_folder_that_is_not_there_is_named),
        WITH_SERVER(a_line_that_takes_no_answer_is_told_once_it_matters),
        WITH_SERVER(a_broken_line_is_said_once),
        WITH_SERVER(who_breaks_the_rules_three_times_is_shut_out),
        WITH_SERVER(strikes_of_many_are_counted_apart),
        WITH_SERVER(who_waits_too_long_or_may_not_any_more_is_forgotten),
        WITH_SERVER(more_watchers_than_places_take_those_of_the_oldest),
        WITH_SERVER(who_waits_is_told_when_the_queue_or_the_log_cannot_be_read),
    };
    int failed =
        test_main("bad questions", NULL, 0, TABLE(BAD, a_bad_question_is_told), N_OF(BAD));
    failed += test_main("talk", plain, N_OF(plain), NULL, 0);
    return failed + test_main("calls", NULL, 0,
                              TABLE(FAILS, what_fails_is_told_and_the_next_answer_is_right),
                              N_OF(FAILS));
}

// Memory runs out while the page is asked for something: each address says so or answers
// in full, and the next one who asks gets an answer.

#include "coordinator/run_lock.h"
#include "coordinator/web_route.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

static struct folder top;
static char dir[100], run_id[40];
static struct err e;

static const char *const paths[] = {
    "/",
    "/jobs/1",
    "/runs/ID",
    "/runs/ID/rejects",
    "/workers",
    "/metrics",
    "/api/v1/server",
    "/api/v1/jobs",
    "/api/v1/jobs/1",
    "/api/v1/runs",
    "/api/v1/runs/ID",
    "/api/v1/runs/ID/samples",
    "/api/v1/runs/ID/chunks",
    "/api/v1/runs/ID/events",
    "/api/v1/runs/ID/workers",
    "/api/v1/runs/ID/reasons",
    "/api/v1/runs/ID/rejects",
    "/api/v1/workers",
};

static void make_job(void)
{
    struct backlog *b;
    int64_t id;
    bool again;
    char note[200];
    const struct backlog_new n = { .name = "job",
                                   .owner = "me",
                                   .folder = "/tmp",
                                   .file = "x.yaml",
                                   .loads = "",
                                   .spec = { (const uint8_t *)"s", 1 } };
    PASS(&e, backlog_open(&b, dir, note, sizeof note, &e));
    PASS(&e, backlog_add(b, &n, &id, &again, &e));
    PASS(&e, backlog_start(b, id, &e));
    backlog_close(&b);
}

// It goes on until the test ends.
static struct journal *make_run(void)
{
    struct journal *j = NULL;
    struct journal_run run = { .name = "a", .status = "running", .into = "null:" };
    const struct journal_input input = { .name = "in.csv", .size = 1000 };
    const struct journal_place place = {
        .load = "l", .inputs = &input, .n_inputs = 1, .database = "", .job = 1
    };
    const struct journal_worker w = {
        .name = "anna", .role = "remote", .host = "h", .slots = 3, .left_ms = -1
    };
    const struct journal_now now = { .at_ms = 1000, .rows_read = 5, .bytes_total = 1000 };
    const struct range r[] = { { 0, 0, 10 }, { 0, 10, 20 } };
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &place, &e));
    PASS(&e, journal_workers_put(j, &w, 1, &e));
    PASS(&e, journal_now_put(j, &now, &e));
    PASS(&e, journal_sample_put(j, 0, &(struct journal_sample){ .at_ms = 900 }, &e));
    PASS(&e, journal_attempt(j, "l", r[0], 1, "anna", &e));
    PASS(&e, journal_flush(j, &e));
    PASS(&e, journal_attempt_end(j, "l", r[0], 1, "died", 1, 0, "signal 11", &e));
    PASS(&e, journal_attempt(j, "l", r[1], 1, "anna", &e));
    PASS(&e, journal_event(j, "retry", "again", &e));
    PASS(&e, journal_flush(j, &e));
    strcpy(run_id, run.id);
    return j;
}

static err_t ask(const char *path, struct web_view *v, struct buf *out, struct err *why)
{
    struct web_request r = { .path = path };
    int status;
    char full[200];
    const char *id = strstr(path, "ID");
    snprintf(full, sizeof full, "%.*s%s%s", id ? (int)(id - path) : (int)strlen(path), path,
             id ? run_id : "", id ? id + 2 : "");
    const struct web_route *route = web_route_find(full, r.name);
    assert_non_null(route);
    TRY(web_view_refresh(v, NS_S, why));
    TRY(web_route_answer(route, v, &r, &status, out, why));
    if (status == WEB_OK) return out->n ? ERR_OK : err_set(why, ERR_INVALID, "no answer");
    // What failed for want of memory on its way up.
    return err_set(why, ERR_NOMEM, "status %d", status);
}

static err_t ask_once(void *arg, struct err *why)
{
    struct web_view v;
    struct buf out = { 0 };
    const struct web_facts facts = { .version = "1", .state = dir, .jobs = 1 };
    web_view_init(&v, &facts);
    err_t rc = ask(arg, &v, &out, why);
    buf_free(&out);
    web_view_close(&v);
    return rc;
}

static void each_address_says_so_or_answers(void **state)
{
    (void)state;
    struct run_lock *l;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    PASS(&e, run_lock_take(&l, dir, "k", &e)); // makes the folders, as a server does
    run_lock_release(&l);
    make_job();
    struct journal *j = make_run();
    for (size_t i = 0; i < N_OF(paths); i++)
        assert_true(no_memory_sweep(ask_once, (void *)(uintptr_t)paths[i]) > 0);
    journal_close(&j);
    folder_rm(&top);
}

int main(void)
{
    const struct CMUnitTest plain[] = { cmocka_unit_test(each_address_says_so_or_answers) };
    return test_main("web_nomem", plain, N_OF(plain), NULL, 0);
}

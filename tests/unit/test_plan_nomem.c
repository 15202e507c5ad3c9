// Memory runs out while a run is planned, while keys are made and while launchers put their
// commands together: it is said, and the next try is right.

#include "coordinator/launcher.h"
#include "coordinator/plan.h"
#include "proto/keys.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

#include "common/conf.h"

static struct folder dir;

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    put_text(&dir, "a.csv", "id,name,day\n1,x,2024-01-01\n2,y,2024-01-02\n");
    put_text(&dir, "b.csv", "id,name,day\n3,z,2024-01-03\n");
    put_text(&dir, "codes.csv", "code,text\nx,ex\ny,why\n");
    put_text(&dir, "a.jsonl", "{\"id\": 1, \"at\": {\"city\": \"A\"}}\n");
    put_text(&dir, "clean.sh", "#!/bin/sh\ncat\n");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    folder_rm(&dir);
    return 0;
}

// ---- plans

struct planned {
    const char *yaml;
    struct buf want; // columns and identity, of a plan without failures
};

static err_t read_job(struct job *j, const char *yaml, struct err *e)
{
    char path[PATH_SPACE];
    struct conf c;
    struct strings mistakes = { 0 };
    job_init(j);
    conf_init(&c, j, &mistakes);
    err_t rc = conf_text(&c, in_folder(&dir, "job.yaml", path), yaml, strlen(yaml), e);
    if (rc == ERR_OK) rc = conf_finish(&c, e);
    strings_free(&mistakes);
    return rc;
}

static err_t describe(struct plan *p, struct buf *out, struct err *e)
{
    for (uint32_t i = 0; i < p->spec.in.n; i++)
        TRY(buf_printf(out, e, "%s %d\n", p->spec.in.f[i].name, (int)p->spec.in.f[i].type));
    TRY(buf_add(out, &p->identity, sizeof p->identity, e));
    TRY(buf_add(out, p->sources.p, p->sources.n, e));
    return plan_params_encode(p, out, e);
}

// What needs neither a worker nor a warehouse.
static err_t make_plan(const struct job *j, struct buf *out, struct err *e)
{
    struct plan p = { 0 };
    err_t rc = plan_identity(&p, j, e);
    if (rc == ERR_OK) rc = plan_input(&p, j, NULL, e);
    if (rc == ERR_OK && !j->n_steps) rc = plan_output(&p, j, NULL, e);
    if (rc == ERR_OK) rc = describe(&p, out, e);
    plan_free(&p);
    return rc;
}

static err_t plan_once(void *arg, struct err *e)
{
    const struct planned *p = arg;
    struct job j;
    struct buf got = { 0 };
    err_t rc = read_job(&j, p->yaml, e);
    if (rc == ERR_OK) rc = make_plan(&j, &got, e);
    if (rc == ERR_OK && (got.n != p->want.n || memcmp(got.p, p->want.p, got.n) != 0))
        fail_msg("another plan was made, of %zu bytes instead of %zu", got.n, p->want.n);
    buf_free(&got);
    job_free(&j);
    return rc;
}

struct plan_row {
    const char *name, *yaml;
};

static const struct plan_row plans[] = {
    { "files_with_an_upsert",
      "source: {csv: [a.csv, b.csv], types: {id: integer}}\n"
      "load: {into: 'sqlite:w.db', table: t, mode: upsert, key: [id], indexes: [[day], "
      "[name, id]]}\n" },
    { "sql_with_lookup_tables",
      "source: {csv: 'a*.csv'}\n"
      "transform: [{sql: 'SELECT id, text FROM batch JOIN codes ON code = name'}]\n"
      "tables: {codes: codes.csv}\n"
      "load: {into: 'sqlite:w.db', table: t}\n" },
    { "a_program_with_files",
      "source: {jsonl: a.jsonl, fields: [id, at.city]}\n"
      "transform: [{exec: [./clean.sh], files: [a.csv], env: {A: b}}]\n"
      "load: {into: 'csv:out.csv'}\n" },
    { "an_aggregate",
      "source: {csv: a.csv}\n"
      "aggregate: {by: [name], compute: {n: count(*), q: 'quantile(id, 0.5)'}}\n"
      "merge: {sql: SELECT * FROM parts}\n"
      "load: {into: 'sqlite:w.db', table: t}\n" },
    { "numbers", "source: {range: 100}\nload: {into: 'null:'}\n" },
};

static void a_plan_is_made_whole_or_not_at_all(void **state)
{
    const struct plan_row *row = *state;
    struct err e;
    struct job j;
    struct planned p = { .yaml = row->yaml };
    fresh(NULL);
    PASS(&e, read_job(&j, row->yaml, &e));
    PASS(&e, make_plan(&j, &p.want, &e));
    job_free(&j);
    assert_true(no_memory_sweep(plan_once, &p) > 10);
    buf_free(&p.want);
    finish(NULL);
}

// ---- keys

static err_t let_in(const char *keys, const uint8_t key[KEY_BYTES], struct err *e)
{
    struct allow_list l = { 0 };
    TRY(keys_allow(keys, "anna", key, e));
    err_t rc = keys_allowed(keys, &l, e);
    if (rc == ERR_OK) {
        EQ_I64(1, l.n);
        assert_string_equal("anna", l.v[0].name);
        assert_memory_equal(key, l.v[0].key, KEY_BYTES);
    }
    allow_list_free(&l);
    return rc;
}

static err_t write_access(const struct access *a, const char *path, struct err *e)
{
    struct access back;
    struct buf text = { 0 };
    unlink(path);
    err_t rc = access_encode(a, &text, e);
    if (rc == ERR_OK) rc = keys_write_new(path, text.p, text.n, e);
    if (rc == ERR_OK) rc = access_read(&back, path, e);
    if (rc == ERR_OK) assert_memory_equal(&a->own, &back.own, sizeof back.own);
    buf_free(&text);
    return rc;
}

static err_t keys_once(void *arg, struct err *e)
{
    char keys[PATH_SPACE], file[PATH_SPACE];
    uint8_t secret[KEY_BYTES];
    struct key_pair own;
    struct access a = { .name = "anna", .address = "tcp://h:1" };
    (void)arg;
    in_folder(&dir, "keys", keys);
    err_t rc = keys_revoke(keys, "anna", e); // of the try before
    if (rc != ERR_OK && rc != ERR_INVALID) return rc;
    TRY(keys_coordinator(keys, true, &own, e));
    TRY(keys_leases(keys, secret, e));
    TRY(keys_new(&a.own, e));
    memcpy(a.coordinator, own.public_key, KEY_BYTES);
    TRY(let_in(keys, a.own.public_key, e));
    TRY(keys_revoke(keys, "anna", e));
    return write_access(&a, in_folder(&dir, "anna.access", file), e);
}

static void keys_are_made_in_the_end(void **state)
{
    (void)state;
    assert_true(no_memory_sweep(keys_once, NULL) > 5);
}

// ---- launchers

struct shown {
    const struct launcher_ops *ops;
    struct launcher_opts o;
    char *want;
};

static err_t launch(const struct launcher_ops *ops, const struct launcher_opts *o,
                    struct err *e)
{
    struct launcher *l = NULL;
    struct launcher_count count = { 0 };
    TRY(ops->open(&l, o, e));
    err_t rc = ops->start(l, 3, true, e);
    if (rc == ERR_OK) rc = ops->count(l, &count, e);
    if (rc == ERR_OK) rc = ops->stop(l, 1, e);
    err_t end = ops->close(&l, false, rc == ERR_OK ? e : NULL);
    return rc != ERR_OK ? rc : end;
}

static err_t show(const struct shown *s, char **text, struct err *e)
{
    size_t n;
    struct launcher_opts o = s->o;
    *text = NULL;
    o.show = open_memstream(text, &n);
    assert_non_null(o.show);
    err_t rc = launch(s->ops, &o, e);
    fclose(o.show);
    return rc;
}

static err_t launch_once(void *arg, struct err *e)
{
    const struct shown *s = arg;
    char *text;
    err_t rc = show(s, &text, e);
    if (rc == ERR_OK) assert_string_equal(s->want, text);
    free(text);
    return rc;
}

static void commands_are_shown_whole_or_memory_is_out(void **state)
{
    static char gpu[] = "gpu", big[] = "big one", *labels[] = { gpu, big };
    static char partition[] = "--partition", name[] = "long", *args[] = { partition, name };
    char hosts[PATH_SPACE], logs[PATH_SPACE];
    struct err e;
    (void)state;
    put_text(&dir, "hosts", "one 2\nuser@two\n");
    for (const struct launcher_ops *const *ops = launchers; *ops; ops++) {
        bool compose = *ops == &launcher_compose;
        struct shown s = { *ops,
                           { .worker = "tranche-worker",
                             .access = compose ? NULL : "anna.access",
                             .slots = 2,
                             .idle_timeout_ms = 60000,
                             .labels = { labels, N_OF(labels) },
                             .hosts = in_folder(&dir, "hosts", hosts),
                             .service = "worker",
                             .logs = (char *)(uintptr_t)in_folder(&dir, "logs", logs),
                             .args = args,
                             .n_args = N_OF(args) },
                           NULL };
        PASS(&e, show(&s, &s.want, &e));
        assert_true(*s.want);
        assert_true(no_memory_sweep(launch_once, &s) > 3);
        free(s.want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_made_in_the_end, fresh, finish),
        cmocka_unit_test_setup_teardown(commands_are_shown_whole_or_memory_is_out, fresh,
                                        finish),
    };
    struct CMUnitTest *table = TABLE(plans, a_plan_is_made_whole_or_not_at_all);
    return test_main("plan_nomem", tests, N_OF(tests), table, N_OF(plans));
}

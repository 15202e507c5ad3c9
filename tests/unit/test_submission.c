// A job as it is handed to a server: its bytes, and what a server can run.

#include "coordinator/submission.h"
#include "tests/source_kit.h"

static struct err e;
static struct folder dir;

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    return chdir(dir.path);
}

static int finish(void **state)
{
    (void)state;
    if (chdir("/") != 0) return -1;
    folder_rm(&dir);
    return 0;
}

// Words are separated by '|'.
static struct submission make(const char *file, const char *text, const char *words)
{
    struct submission s = { .folder = strdup(dir.path) };
    char copy[400];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; (word = strsep(&rest, "|"));)
        if (*word) PASS(&e, strings_add(&s.words, word, strlen(word), &e));
    if (file) s.file = strdup(file);
    if (text) PASS(&e, buf_add(&s.text, text, strlen(text), &e));
    return s;
}

static void it_comes_back_as_it_was(void **state)
{
    (void)state;
    struct submission s = make("job.yaml", "source: {range: 3}\n", "job.yaml|--fresh|-j|2");
    struct submission got, none = make(NULL, NULL, "");
    struct buf bytes = { 0 };
    PASS(&e, submission_encode(&s, &bytes, &e));
    PASS(&e, submission_decode(&got, bytes.p, bytes.n, &e));
    assert_string_equal(s.folder, got.folder);
    assert_string_equal("job.yaml", got.file);
    EQ_I64(s.text.n, got.text.n);
    assert_memory_equal(s.text.p, got.text.p, s.text.n);
    EQ_I64(4, got.words.n);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(s.words.v[i], got.words.v[i]);
    submission_free(&got);
    bytes.n = 0;
    PASS(&e, submission_encode(&none, &bytes, &e));
    PASS(&e, submission_decode(&got, bytes.p, bytes.n, &e));
    assert_null(got.file);
    EQ_I64(0, got.words.n);
    submission_free(&got);
    submission_free(&s);
    submission_free(&none);
    buf_free(&bytes);
}

static void every_truncation_and_what_stands_behind_is_an_error(void **state)
{
    (void)state;
    struct submission s = make("j.yaml", "x", "j.yaml|--fresh"), got;
    struct buf bytes = { 0 };
    PASS(&e, submission_encode(&s, &bytes, &e));
    for (size_t n = 0; n < bytes.n; n++) {
        uint8_t *exact = malloc(n ? n : 1);
        assert_non_null(exact);
        memcpy(exact, bytes.p, n);
        EXPECT(ERR_PROTO, &e, submission_decode(&got, exact, n, &e));
        submission_free(&got);
        free(exact);
    }
    PASS(&e, buf_add(&bytes, "", 1, &e));
    EXPECT(ERR_PROTO, &e, submission_decode(&got, bytes.p, bytes.n, &e));
    assert_string_equal("this is no submission: something stands behind it", e.text);
    submission_free(&got);
    submission_free(&s);
    buf_free(&bytes);
}

static void bytes_are_pinned(void **state)
{
    (void)state;
    static const char want[] = "\4\0\0\0\2\0\0\0/a\1\0\0\0f\3\0\0\0one\1\0\0\0f";
    struct submission s = make("f", "one", "f");
    struct buf bytes = { 0 };
    strcpy(s.folder, "/a");
    PASS(&e, submission_encode(&s, &bytes, &e));
    EQ_I64(sizeof want - 1, bytes.n);
    assert_memory_equal(want, bytes.p, bytes.n);
    submission_free(&s);
    buf_free(&bytes);
}

struct hostile {
    const char *name;
    const char *bytes;
    size_t n;
    const char *sentence;
};
#define BYTES(s) s, sizeof(s) - 1
static const struct hostile hostiles[] = {
    { "no_texts", BYTES("\0\0\0\0"),
      "this is no submission: the number of its texts "
      "cannot be" },
    { "4_billion_texts", BYTES("\377\377\377\377"),
      "this is no submission: the number of its texts cannot be" },
    { "4_billion_bytes", BYTES("\3\0\0\0\377\377\377\377/"),
      "this is no submission: a text is longer than what is there" },
    { "a_zero_in_a_path", BYTES("\3\0\0\0\2\0\0\0/\0\0\0\0\0\0\0\0\0"),
      "this is no submission: a text has a zero byte" },
    { "a_folder_from_here", BYTES("\3\0\0\0\1\0\0\0a\0\0\0\0\0\0\0\0"),
      "this is no submission: its folder has no full path" },
    { "no_folder", BYTES("\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
      "this is no submission: its folder has no full path" },
};

static void hostile_bytes_are_refused(void **state)
{
    const struct hostile *h = *state;
    struct submission got;
    EXPECT(ERR_PROTO, &e, submission_decode(&got, h->bytes, h->n, &e));
    assert_string_equal(h->sentence, e.text);
    submission_free(&got);
}

// The sentence that says why a server cannot run it; "": it can.
static void fits(const char *file, const char *text, const char *words, const char *want)
{
    struct submission s = make(file, text, words);
    struct cli c;
    EQ_I64(-1, submission_read(&s, NULL, &c, stdout, stderr));
    err_t rc = submission_fits(&s, &c, &e);
    assert_string_equal(want, rc == ERR_OK ? "" : e.text);
    EQ_I64(*want ? ERR_INVALID : ERR_OK, rc);
    cli_close(&c);
    submission_free(&s);
}

static void a_server_says_what_it_cannot_run(void **state)
{
    (void)state;
    put_file(&dir, "in.csv", "a\n1\n", 4);
    fits(NULL, NULL, "--csv|in.csv|--into|sqlite:wh.db", "");
    fits(NULL, NULL, "--csv|in*.csv|--into|sqlite:wh.db", "");
    fits(NULL, NULL, "--csv|-|--into|sqlite:wh.db|--table|t",
         "a job in a queue has no standard input: name the file that it reads");
    fits(NULL, NULL, "--range|3|--into|stdout:",
         "stdout:: a job in a queue has no standard output: load into a file or a table");
    fits(NULL, NULL, "--range|3|--into|null:|--listen|tcp://127.0.0.1:0",
         "--listen and --insecure: the server has the port for workers: tranche serve "
         "--listen-workers tcp://HOST:PORT");
    fits("s.yaml", "source: {range: 3}\nload: {into: 'null:'}\nschedule: weekly\n",
         "s.yaml|--scheduled",
         "--scheduled is for the host's scheduler: leave it out, and give --token TEXT to "
         "submit a job once");
    fits(NULL, NULL, "--sqlite|no.db|--sqlite-table|t|--into|null:",
         "a job reads files of the host where the server runs: no.db is not there");
}

static void the_text_that_was_submitted_counts(void **state)
{
    (void)state;
    struct submission s =
        make("job.yaml", "source: {range: 3}\nload: {into: 'null:'}\n", "job.yaml");
    struct cli c;
    put_file(&dir, "job.yaml", "nonsense", 8); // it was changed since
    EQ_I64(-1, submission_read(&s, NULL, &c, stdout, stderr));
    EQ_I64(3, c.job.range_rows);
    struct buf loads = { 0 };
    PASS(&e, submission_loads(&c, &loads, &e));
    assert_non_null(strstr((char *)loads.p, "null:"));
    buf_free(&loads);
    cli_close(&c);
    submission_free(&s);
}

static void steps_of_a_pipeline_may_make_what_others_read(void **state)
{
    (void)state;
    static const char text[] =
        "steps:\n"
        "  - {name: a, source: {range: 3}, load: {into: 'csv:a.csv'}}\n"
        "  - {name: b, needs: a, source: {csv: a.csv}, load: {into: 'null:'}}\n"
        "  - {name: c, source: {csv: none.csv}, load: {into: 'null:', table: c}}\n";
    struct submission s = make("p.yaml", text, "p.yaml");
    struct cli c;
    EQ_I64(-1, submission_read(&s, NULL, &c, stdout, stderr));
    assert_true(c.is_pipeline);
    EXPECT(ERR_INVALID, &e, submission_fits(&s, &c, &e));
    assert_non_null(strstr(e.text, "step c: a job reads files of the host where the"));
    assert_non_null(strstr(e.text, "none.csv"));
    struct buf loads = { 0 };
    PASS(&e, submission_loads(&c, &loads, &e));
    char want[400];
    snprintf(want, sizeof want, "csv:%s/a.csv", dir.path);
    assert_non_null(strstr((char *)loads.p, want));
    buf_free(&loads);
    cli_close(&c);
    submission_free(&s);
}

static char *load_of(char *into)
{
    char *argv[] = { (char *)"tranche", (char *)"run", (char *)"--range",
                     (char *)"1",       into,          (char *)"--table",
                     (char *)"t",       NULL };
    struct cli c;
    struct buf loads = { 0 };
    EQ_I64(-1, cli_parse_to(7, argv, &c, stdout, stderr));
    PASS(&e, submission_loads(&c, &loads, &e));
    cli_close(&c);
    return (char *)loads.p;
}

// Two jobs that write there take turns, however it is spelled.
static void one_file_is_one_load_by_any_path(void **state)
{
    (void)state;
    static char *const ways[] = { (char *)"--into=sqlite:./wh.db",
                                  (char *)"--into=sqlite:link/wh.db" };
    char path[PATH_SPACE], full[PATH_SPACE + 40];
    assert_int_equal(0, symlink(".", in_folder(&dir, "link", path)));
    snprintf(full, sizeof full, "--into=sqlite:%s/link/wh.db", dir.path);
    for (int there = 0; there < 2; there++) {
        char *want = load_of((char *)"--into=sqlite:wh.db"), *got;
        for (int i = 0; i < 2; i++) {
            assert_string_equal(want, got = load_of(ways[i]));
            free(got);
        }
        assert_string_equal(want, got = load_of(full));
        free(got);
        free(want);
        put_file(&dir, "wh.db", "", 0);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest tests[] = {
        T(it_comes_back_as_it_was),
        T(every_truncation_and_what_stands_behind_is_an_error),
        T(bytes_are_pinned),
        T(a_server_says_what_it_cannot_run),
        T(the_text_that_was_submitted_counts),
        T(steps_of_a_pipeline_may_make_what_others_read),
        T(one_file_is_one_load_by_any_path),
    };
    struct CMUnitTest *table = TABLE(hostiles, hostile_bytes_are_refused);
    return test_main("submission", tests, N_OF(tests), table, N_OF(hostiles));
}

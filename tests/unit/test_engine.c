#include "coordinator/engine.h"
#include "tests/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct err e;

// ---- words ----

struct quoted {
    const char *name, *word, *text;
};

static const struct quoted quoted[] = {
    { "plain", "tranche-worker", "tranche-worker" },
    { "path_and_option", "--output=/a/b_%A.log", "--output=/a/b_%A.log" },
    { "nothing", "", "''" },
    { "spaces", "a b", "'a b'" },
    { "dollar", "$HOME", "'$HOME'" },
    { "single_quote", "it's", "'it'\\''s'" },
    { "only_quotes", "''", "''\\'''\\'''" },
    { "command", "`x`;$(y)&|<>", "'`x`;$(y)&|<>'" },
    { "tilde", "~/x", "'~/x'" },
    { "line_end", "a\nb", "'a\nb'" },
    { "backslash", "a\\b", "'a\\b'" },
};

static void is_quoted(void **state)
{
    const struct quoted *q = *state;
    struct buf b = { 0 };
    PASS(&e, engine_quote(&b, q->word, &e));
    PASS(&e, buf_add(&b, "", 1, &e));
    assert_string_equal(q->text, (char *)b.p);
    buf_free(&b);
}

static void call(struct strings *c, struct buf *out)
{
    PASS(&e, engine_call(c, out, &e));
}

static void a_shell_reads_back_what_was_quoted(void **state)
{
    (void)state;
    struct strings inner = { 0 }, outer = { 0 };
    struct buf line = { 0 }, out = { 0 };
    PASS(&e, engine_add(&inner, &e, "printf", "%s|", NULL));
    for (size_t i = 0; i < N_OF(quoted); i++)
        PASS(&e, engine_add(&inner, &e, quoted[i].word, NULL));
    PASS(&e, engine_text(&line, &inner, &e));
    PASS(&e, buf_add(&line, "", 1, &e));
    PASS(&e, engine_add(&outer, &e, "sh", "-c", (char *)line.p, NULL));
    call(&outer, &out);
    const char *p = (char *)out.p;
    for (size_t i = 0; i < N_OF(quoted); i++) {
        size_t n = strlen(quoted[i].word);
        assert_memory_equal(quoted[i].word, p, n);
        assert_int_equal('|', p[n]);
        p += n + 1;
    }
    EQ_I64(out.n, p - (char *)out.p);
    strings_free(&inner);
    strings_free(&outer);
    buf_free(&line);
    buf_free(&out);
}

// ---- running ----

static void fails(const char *script, const char *says)
{
    struct strings c = { 0 };
    PASS(&e, engine_add(&c, &e, "sh", "-c", script, NULL));
    EXPECT(ERR_IO, &e, engine_call(&c, NULL, &e));
    assert_string_equal(says, e.text);
    strings_free(&c);
}

static void a_failure_has_its_code_and_last_words(void **state)
{
    (void)state;
    fails("exit 3", "sh ended with code 3");
    fails("echo no such partition >&2; exit 1", "sh ended with code 1: no such partition");
    fails("printf 'a\\n\\033[1mb\\r\\n\\n' >&2; exit 1", "sh ended with code 1: a; ?[1mb");
    fails("for i in 1 2 3 4 5 6 7; do echo $i >&2; done; exit 1",
          "sh ended with code 1: 4; 5; 6; 7");
    fails("kill -9 $$", "sh ended with code 137");
}

static void much_that_is_said_is_cut_at_its_beginning(void **state)
{
    (void)state;
    struct strings c = { 0 };
    PASS(&e, engine_add(&c, &e, "sh", "-c",
                        "head -c 100000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1",
                        NULL));
    EXPECT(ERR_IO, &e, engine_call(&c, NULL, &e));
    assert_true(strlen(e.text) < ENGINE_SAID + 60);
    assert_string_equal("xend", e.text + strlen(e.text) - 4);
    strings_free(&c);
}

static void a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct strings c = { 0 };
    PASS(&e, engine_add(&c, &e, "no-such-engine", "x", NULL));
    EXPECT(ERR_IO, &e, engine_call(&c, NULL, &e));
    assert_string_equal("cannot start no-such-engine: No such file or directory", e.text);
    strings_free(&c);
}

static void a_child_lives_until_its_input_ends(void **state)
{
    (void)state;
    struct strings c = { 0 };
    struct engine_child x;
    int code = -1;
    PASS(&e, engine_add(&c, &e, "sh", "-c", "cat; exit 7", NULL));
    PASS(&e, engine_start(&c, ENGINE_INPUT, &x, &e));
    assert_false(engine_ended(&x, &code));
    close(x.input);
    x.input = -1;
    assert_true(engine_wait(&x, 60 * NS_S, &code));
    EQ_I64(7, code);
    engine_forget(&x);
    strings_free(&c);
}

static void a_child_that_is_forgotten_is_ended(void **state)
{
    (void)state;
    struct strings c = { 0 };
    struct engine_child x;
    PASS(&e, engine_add(&c, &e, "sleep", "1000", NULL));
    PASS(&e, engine_start(&c, 0, &x, &e));
    pid_t pid = x.pid;
    engine_forget(&x);
    assert_int_not_equal(0, kill(pid, 0));
    strings_free(&c);
}

static void an_answer_comes_whole(void **state)
{
    (void)state;
    struct strings c = { 0 };
    struct buf out = { 0 };
    PASS(&e, engine_add(&c, &e, "sh", "-c", "seq 100000; echo noise >&2", NULL));
    call(&c, &out);
    EQ_I64(588895, out.n);
    assert_int_equal(0, out.p[out.n]);
    strings_free(&c);
    buf_free(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shell_reads_back_what_was_quoted),
        cmocka_unit_test(a_failure_has_its_code_and_last_words),
        cmocka_unit_test(much_that_is_said_is_cut_at_its_beginning),
        cmocka_unit_test(a_program_that_is_not_there_is_named),
        cmocka_unit_test(a_child_lives_until_its_input_ends),
        cmocka_unit_test(a_child_that_is_forgotten_is_ended),
        cmocka_unit_test(an_answer_comes_whole),
    };
    return test_main("engine", tests, N_OF(tests), TABLE(quoted, is_quoted), N_OF(quoted));
}

// Help in pieces, and the manual pages and completions that are made of it.

#include "common/help_shell.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static struct err e;

static const char text[] = "Usage: prog install JOB.yaml [FLAGS]\n"
                           "       prog list|remove\n"
                           "\n"
                           "Does a thing,\n"
                           "and 'another' one. .dots \\n and -dashes-\n"
                           "\n"
                           "  install  writes it, or\n"
                           "           -- brings it up\n"
                           "  list     shows it\n"
                           "\n"
                           "Below:\n"
                           "  -j, --jobs N            how many. Repeatable\n"
                           "      --output human|json|x|FILE\n"
                           "                          [what] is: written\n"
                           "  -o FILE                 where\n"
                           "      --dry-run           nothing\n"
                           "\n"
                           "Examples:\n"
                           "  prog install a.yaml \\\n"
                           "       -j 2\n"
                           "\n"
                           "Exit codes:\n"
                           "  0    good\n";

static void read_text(struct help_text *h)
{
    PASS(&e, help_read(h, text, &e));
}

static void help_is_read_in_pieces(void **state)
{
    (void)state;
    static const struct help_piece want[] = {
        { HELP_PARAGRAPH, "", "Does a thing, and 'another' one. .dots \\n and -dashes-" },
        { HELP_ITEM, "install", "writes it, or -- brings it up" },
        { HELP_ITEM, "list", "shows it" },
        { HELP_HEADING, "", "Below" },
        { HELP_ITEM, "-j, --jobs N", "how many. Repeatable" },
        { HELP_ITEM, "--output human|json|x|FILE", "[what] is: written" },
        { HELP_ITEM, "-o FILE", "where" },
        { HELP_ITEM, "--dry-run", "nothing" },
        { HELP_HEADING, "", "Examples" },
        { HELP_EXAMPLE, "", "prog install a.yaml \\" },
        { HELP_EXAMPLE, "", "     -j 2" },
        { HELP_HEADING, "", "Exit codes" },
        { HELP_ITEM, "0", "good" },
    };
    struct help_text h;
    read_text(&h);
    EQ_I64(2, help_n_usages(&h));
    assert_string_equal("prog list|remove", help_usage(&h, 1));
    EQ_I64(N_OF(want), help_n(&h));
    for (size_t i = 0; i < N_OF(want); i++) {
        EQ_I64(want[i].kind, help_at(&h, i)->kind);
        assert_string_equal(want[i].tag, help_at(&h, i)->tag);
        assert_string_equal(want[i].text, help_at(&h, i)->text);
    }
    EQ_I64(4, help_below(&h, "Below"));
    EQ_I64(help_n(&h), help_below(&h, "Nowhere"));
    help_free(&h);
    EXPECT(ERR_PARSE, &e, help_read(&h, "no usage\n", &e));
    help_free(&h);
}

static void every_beginning_of_help_can_be_read(void **state)
{
    (void)state;
    char part[sizeof text];
    for (size_t n = 7; n < sizeof text; n++) {
        struct help_text h;
        memcpy(part, text, n);
        part[n] = 0;
        PASS(&e, help_read(&h, part, &e));
        help_free(&h);
    }
}

static void flags_have_letters_names_and_values(void **state)
{
    (void)state;
    struct help_flag f;
    char words[64];
    assert_true(help_flag("-j, --jobs N", &f));
    assert_true(f.letter == 'j' && !strcmp(f.name, "jobs") && !strcmp(f.value, "N"));
    assert_true(help_flag("-o FILE", &f));
    assert_true(f.letter == 'o' && !f.name[0] && help_is_file(f.value));
    assert_true(help_flag("--dry-run", &f));
    assert_true(!f.letter && !strcmp(f.name, "dry-run") && !f.value[0]);
    assert_false(help_flag("install", &f));
    assert_false(help_flag("-", &f));
    help_choices("human|json|x|FILE|N%", words, sizeof words);
    assert_string_equal("human json", words);
    help_choices("human", words, sizeof words);
    assert_string_equal("", words);
}

static char *ended(struct buf *b)
{
    PASS(&e, buf_add(b, "", 1, &e));
    return (char *)b->p;
}

static void has(struct buf *b, const char *part)
{
    if (!strstr(ended(b), part)) fail_msg("no '%s' in\n%s", part, (char *)b->p);
    b->n--;
}

static void a_manual_page_means_what_help_says(void **state)
{
    (void)state;
    struct help_text h;
    struct buf b = { 0 };
    read_text(&h);
    PASS(&e, help_man_worker(&b, &h, &e));
    has(&b, ".TH TRANCHE-WORKER 1 ");
    has(&b, "tranche\\-worker \\- ");
    has(&b, "\\fBprog\\fR install JOB.yaml [FLAGS]\n.br\n\\fBprog\\fR list|remove\n");
    has(&b, "and \\(aqanother\\(aq one. .dots \\en and \\-dashes\\-\n");
    has(&b, ".TP\n\\fB\\-j, \\-\\-jobs\\fR \\fIN\\fR\nhow many. Repeatable\n");
    has(&b, ".EX\nprog install a.yaml \\e\n     \\-j 2\n.EE\n");
    b.n = 0;
    const struct help_command twice[] = { { "a", h }, { "b", h } };
    PASS(&e, help_man_tranche(&b, &h, twice, 2, &e));
    has(&b, ".SS b\n");
    has(&b, "Flags that a command above has, too, mean the same here");
    b.n = 0;
    PASS(&e, help_man_job(&b, &e));
    has(&b, ".TP\n\\fBlimits.bad_rows\\fR\n");
    has(&b, "Flag: \\fB\\-\\-bad\\-rows\\fR.\n");
    buf_free(&b);
    help_free(&h);
}

static void completions_know_verbs_flags_and_values(void **state)
{
    (void)state;
    struct help_text h;
    struct buf b = { 0 };
    read_text(&h);
    PASS(&e, help_bash_plain(&b, "my-prog", &h, &e));
    has(&b, "flags=\"-j --jobs --output -o --dry-run\"\n        kind=job\n");
    has(&b, "words=\"install list\"\n");
    has(&b,
        "-j|--jobs) kind=value ;;\n        --output) words=\"human json\" kind=value ;;\n"
        "        -o) kind=file ;;\n");
    has(&b, "complete -F _my_prog my-prog\n");
    b.n = 0;
    PASS(&e, help_zsh_plain(&b, "my-prog", &h, &e));
    has(&b, "'(-j --jobs)'{-j,--jobs}'[how many]:N: '");
    has(&b, "'--output[\\[what\\] is\\: written]:human|json|x|FILE:(human json)'");
    has(&b, "'-o[where]:FILE:_files'");
    has(&b, "'1:what to do:(install list)'");
    buf_free(&b);
    help_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_read_in_pieces),
        cmocka_unit_test(every_beginning_of_help_can_be_read),
        cmocka_unit_test(flags_have_letters_names_and_values),
        cmocka_unit_test(a_manual_page_means_what_help_says),
        cmocka_unit_test(completions_know_verbs_flags_and_values),
    };
    return test_main("help_text", tests, N_OF(tests), NULL, 0);
}

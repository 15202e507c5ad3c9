// The option table itself, and the reference that is written from it.
// `test_opt write FILE` writes the reference.

#include "common/conf.h"
#include "common/opt_doc.h"
#include "common/opt_set.h"
#include "tests/test.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *reference_file(char out[4096]) // TEST_DATA is SOURCE/tests/data
{
    int n = (int)(strlen(TEST_DATA) - strlen("tests/data"));
    snprintf(out, 4096, "%.*sdocs/JOBFILE.md", n, TEST_DATA);
    return out;
}

static void keys_flags_and_letters_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < opt_n; i++) {
        const struct opt *a = &opt_table[i];
        if (!a->key && !a->flag) fail_msg("row %zu has neither key nor flag", i);
        for (size_t k = i + 1; k < opt_n; k++) {
            const struct opt *b = &opt_table[k];
            if (a->key && b->key && strcmp(a->key, b->key) == 0)
                fail_msg("key %s twice", a->key);
            if (a->flag && b->flag && strcmp(a->flag, b->flag) == 0)
                fail_msg("--%s twice", a->flag);
            if (a->letter && a->letter == b->letter) fail_msg("-%c twice", a->letter);
        }
    }
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++) {
        const char *name = o->key ? o->key : o->flag;
        bool spoken =
            o->flag && (strcmp(o->flag, "help") == 0 || strcmp(o->flag, "version") == 0);
        if (!o->help || !isupper((unsigned char)o->help[0]))
            if (strncmp(o->help, "true:", 5) != 0 && strncmp(o->help, "append:", 7) != 0)
                fail_msg("%s: its help does not begin with a capital", name);
        if (o->help[strlen(o->help) - 1] == '.')
            fail_msg("%s: help ends with a full stop", name);
        if (!o->commands) fail_msg("%s belongs to no command", name);
        if (!o->set && !spoken) fail_msg("%s has no setter", name);
        if (o->key && !o->takes) fail_msg("%s: what does it take?", name);
        bool by_section = o->key && (strcmp(o->key, "transform.http.url") == 0 || // --http
                                     strcmp(o->key, "transform.forecast.periods") == 0);
        bool of_file =
            o->key && (!strcmp(o->key, "steps") || !strcmp(o->key, "needs") ||
                       !strcmp(o->key, "schedule") || !strncmp(o->key, "charts", 6));
        if (o->key && !o->flag && !by_section && !of_file) fail_msg("%s has no flag", name);
        if ((o->form == OPT_SWITCH) != !o->metavar && o->flag)
            fail_msg("%s: switches, and only they, have no metavar", name);
        if (o->section == OPT_THIS_RUN && o->key)
            fail_msg("%s: the last section has flags only", name);
        if (o->key && opt_is_section(o->key) && o->set != set_http &&
            o->set != set_forecast && o->set != set_charts)
            fail_msg("%s is a key and a section", name);
        if (opt_by_key("nonsense") || opt_by_flag("nonsense"))
            fail_msg("nonsense was found");
    }
}

static void sections_stand_together(void **state)
{
    (void)state;
    for (size_t i = 1; i < opt_n; i++)
        if (opt_table[i].section < opt_table[i - 1].section)
            fail_msg("row %zu is out of its section", i);
}

static void defaults_of_the_table_are_those_of_a_job(void **state)
{
    (void)state;
    struct err e;
    struct arena mem = { 0 };
    static const char *const keys[] = {
        "source.delimiter", "source.quote",  "source.header",       "batch.bytes",
        "load.mode",        "load.ordered",  "limits.bad_rows",     "limits.retries",
        "limits.timeout",   "limits.memory", "limits.worker_memory"
    };
    struct job plain, set;
    struct strings mistakes = { 0 };
    struct conf c;
    job_init(&plain);
    job_init(&set);
    conf_init(&c, &set, &mistakes);
    for (size_t i = 0; i < N_OF(keys); i++) {
        const struct opt *o = opt_by_key(keys[i]);
        assert_non_null(o->initial);
        PASS(&e, conf_flag(&c, o, value_new(&mem, VALUE_TEXT, o->initial), &e));
    }
    EQ_I64(0, mistakes.n);
    plain.delimiter_given = true; // as `set` has been told
    assert_memory_equal(&plain, &set, sizeof plain);
    arena_free(&mem);
}

static struct buf read_whole(const char *path)
{
    struct err e;
    struct buf b = { 0 };
    FILE *f = fopen(path, "rb");
    if (!f) return b;
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        PASS(&e, buf_add(&b, part, n, &e));
    fclose(f);
    return b;
}

static void the_reference_is_up_to_date(void **state)
{
    (void)state;
    struct err e;
    struct buf want = { 0 }, have = read_whole(reference_file((char[4096]){ 0 }));
    PASS(&e, opt_reference(&want, &e));
    if (want.n != have.n || memcmp(want.p, have.p, want.n) != 0)
        fail_msg("docs/JOBFILE.md is not what the option table says; write it anew:\n"
                 "    build/dev/tests/test_opt write docs/JOBFILE.md");
    buf_free(&want);
    buf_free(&have);
}

static void the_example_of_the_reference_is_a_good_job(void **state)
{
    (void)state;
    struct err e;
    struct buf text = { 0 };
    PASS(&e, opt_reference(&text, &e));
    char *begin = strstr((char *)text.p, "```yaml\n") + 8, *end = strstr(begin, "```");
    struct job j;
    struct strings mistakes = { 0 };
    struct conf c;
    job_init(&j);
    conf_init(&c, &j, &mistakes);
    PASS(&e, conf_text(&c, "job.yaml", begin, (size_t)(end - begin), &e));
    PASS(&e, conf_finish(&c, &e));
    assert_string_equal("late_flights", j.table);
    job_free(&j);
    buf_free(&text);
}

static void rows_of_a_batch_with_http(const char *more, const char *want)
{
    struct err e;
    struct buf text = { 0 };
    struct job j;
    struct strings mistakes = { 0 };
    struct conf c;
    job_init(&j);
    conf_init(&c, &j, &mistakes);
    PASS(&e, buf_printf(&text, &e,
                        "source: {csv: a.csv}\nload: {into: 'sqlite:a.db', table: t}\n"
                        "transform: {http: {url: 'http://h/{a}', %s\n",
                        more));
    PASS(&e, conf_text(&c, "job.yaml", (char *)text.p, text.n, &e));
    PASS(&e, conf_finish(&c, &e));
    char rows[24];
    snprintf(rows, sizeof rows, "%llu", (unsigned long long)j.batch_rows);
    assert_string_equal(want, rows);
    if (!strstr(opt_by_key("batch.rows")->initial, rows))
        fail_msg("the default of batch.rows does not name %s", rows);
    job_free(&j);
    buf_free(&text);
}

static void the_default_of_batch_rows_is_told_for_http_steps(void **state)
{
    (void)state;
    const char *said = opt_by_key("batch.rows")->initial;
    rows_of_a_batch_with_http("rows: $, fields: [b]}}", "64");
    rows_of_a_batch_with_http("rows: $, fields: [b]}}\n"
                              "aggregate: {by: [b], compute: {n: 'count(*)'}}",
                              "256");
    if (!strstr(said, "2 x http.concurrency")) fail_msg("without concurrency: %s", said);
}

static void help_fits_the_width_and_names_every_flag(void **state)
{
    (void)state;
    struct err e;
    struct buf text = { 0 };
    PASS(&e, opt_help(&text, OPT_RUN, &e));
    PASS(&e, opt_help(&text, OPT_PLAN, &e)); // has some that run has not
    PASS(&e, opt_help(&text, OPT_RUNS, &e)); // and so has this
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++) {
        char flag[64];
        snprintf(flag, sizeof flag, "--%s%s", o->flag ? o->flag : "",
                 o->metavar ? " " : "\n");
        if (!o->flag || !o->metavar) continue;
        if (!strstr((char *)text.p, flag)) fail_msg("--%s is missing", o->flag);
    }
    char *copy = (char *)text.p, *line;
    while ((line = strsep(&copy, "\n")))
        if (strlen(line) > OPT_HELP_WIDTH) fail_msg("too wide: %s", line);
    buf_free(&text);
}

static int write_reference(const char *path)
{
    struct err e;
    struct buf text = { 0 };
    FILE *f = fopen(path, "wb");
    if (!f || opt_reference(&text, &e) != ERR_OK ||
        fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0)
        return perror(path), 1;
    buf_free(&text);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_flags_and_letters_are_unique),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(sections_stand_together),
        cmocka_unit_test(defaults_of_the_table_are_those_of_a_job),
        cmocka_unit_test(the_reference_is_up_to_date),
        cmocka_unit_test(the_example_of_the_reference_is_a_good_job),
        cmocka_unit_test(the_default_of_batch_rows_is_told_for_http_steps),
        cmocka_unit_test(help_fits_the_width_and_names_every_flag),
    };
    if (argc == 3 && strcmp(argv[1], "write") == 0) return write_reference(argv[2]);
    return test_main("opt", tests, N_OF(tests), NULL, 0);
}

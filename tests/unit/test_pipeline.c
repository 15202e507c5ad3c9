// Pipeline files: what is wrong with them, and the order in which their steps can run.

#include "common/pipeline.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static err_t no_flags(void *arg, struct conf *c, struct err *e)
{
    (void)arg, (void)c, (void)e;
    return ERR_OK;
}

static err_t read_text(struct pipeline *p, const char *yaml, struct strings *mistakes,
                       struct err *e)
{
    static const char path[] = "p.yaml";
    struct buf text = { .p = (uint8_t *)(uintptr_t)yaml, .n = strlen(yaml) };
    err_t rc = pipeline_read(p, path, &text, no_flags, NULL, mistakes, e);
    for (size_t i = 0; i < mistakes->n; i++) { // lines without the file's name
        size_t n = sizeof path - 1;
        if (strncmp(mistakes->v[i], path, n) == 0)
            memmove(mistakes->v[i], mistakes->v[i] + n + 1, strlen(mistakes->v[i] + n));
    }
    return rc;
}

#define STEP(name, more) \
    "  - {name: " name ", source: {range: 1}, load: {into: 'null:'}" more "}\n"

struct row {
    const char *name, *yaml, *lines;
};

static const struct row rows[] = {
    { "no_list", "steps: {name: a}\n",
      "1:1: steps: wants a list of jobs, each with a name" },
    { "empty_list", "steps: []\n", "1:1: steps: wants a list of jobs, each with a name" },
    { "a_step_that_is_a_text", "steps:\n  - a\n",
      "2:1: steps: each is a job, a mapping with a name" },
    { "no_name", "steps:\n  - {source: {range: 1}, load: {into: 'null:'}}\n",
      "2:1: steps: this one has no name; give name: NAME" },
    { "a_key_of_a_job_at_the_top", "steps:\n" STEP("a", "") "load: {into: 'null:'}\n",
      "3:1: load: stands in a step; beside steps a pipeline has only name, "
      "schedule and charts" },
    { "an_unknown_key_at_the_top", "steps:\n" STEP("a", "") "setps: 1\n",
      "3:1: unknown key 'setps'; a pipeline has name, schedule, charts and steps" },
    { "steps_twice", "steps:\n" STEP("a", "") "steps: []\n",
      "3:1: 'steps' is given twice" },
    { "steps_in_a_step", "steps:\n" STEP("a", ", steps: []"),
      "2:58: steps: a step has no steps of its own; they stand at the top of the file" },
    { "a_mistake_in_a_step", "steps:\n" STEP("a", ", limits: {retries: x}"),
      "2:67: limits.retries: 'x' is no count; it takes a count, 0 to 100" },
    { "two_names", "steps:\n" STEP("a", "") STEP("a", ""),
      "3:1: name: two steps are called 'a'" },
    { "an_unknown_need", "steps:\n" STEP("alpha", "") STEP("b", ", needs: alhpa"),
      "3:1: needs: no step is called 'alhpa'; did you mean 'alpha'?" },
    { "a_step_that_needs_itself", "steps:\n" STEP("a", ", needs: [a]"),
      "2:1: needs: the step 'a' needs itself" },
    { "a_circle",
      "steps:\n" STEP("a", ", needs: c") STEP("b", ", needs: a") STEP("c", ", needs: b"),
      "2:1: needs: a circle, so none of them can begin: a needs c needs b needs a" },
    { "two_writers_of_a_table",
      "steps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:w.db', table: t}}\n"
      "  - {name: b, source: {range: 1}, load: {into: 'sqlite:w.db', table: T}}\n",
      "3:1: load: it writes what the step 'a' writes: sqlite:w.db, table t" },
    { "two_writers_of_a_file",
      "steps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'csv:o.csv'}}\n"
      "  - {name: b, source: {range: 1}, load: {into: 'csv:o.csv'}}\n",
      "3:1: load: it writes what the step 'a' writes: csv:o.csv" },
    { "a_chart_of_no_step",
      "charts: [{table: salse, x: i, y: i}]\nsteps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:w.db', table: sales}}\n",
      "1:1: charts: no step loads a table 'salse'; did you mean 'sales'; of other "
      "tables charts stand in a step" },
    { "a_chart_without_a_table",
      "charts: [{x: i, y: i}]\nsteps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:w.db', table: sales}}\n",
      "1:1: charts: beside steps each chart names its table: that of a step" },
    { "a_chart_of_two_steps",
      "charts: [{table: t, x: i, y: i}]\nsteps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:v.db', table: t}}\n"
      "  - {name: b, source: {range: 1}, load: {into: 'sqlite:w.db', table: t}}\n",
      "1:1: charts: the steps 'a' and 'b' both load a table 't'; put the chart into "
      "one of them" },
    { "a_forecast_elsewhere",
      "charts: [{table: t, x: i, y: i, forecast: f}]\nsteps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:v.db', table: t}}\n"
      "  - {name: b, source: {range: 1}, load: {into: 'sqlite:w.db', table: f}}\n",
      "1:1: charts: the tables 't' and 'f' are in different warehouses" },
    { "a_chart_with_a_mistake", "charts: [{x: i, y: i, bye: x}]\nsteps:\n" STEP("a", ""),
      "1:23: unknown key 'charts.bye'; did you mean 'charts.by'?" },
    { "a_reader_that_does_not_wait",
      "steps:\n"
      "  - {name: a, source: {csv: o.csv}, load: {into: 'null:'}}\n"
      "  - {name: b, source: {range: 1}, load: {into: 'csv:o.csv'}}\n",
      "2:1: source: it reads what the step 'b' writes; give needs: [b]" },
    { "a_reader_of_a_table_that_does_not_wait",
      "steps:\n"
      "  - {name: a, source: {range: 1}, load: {into: 'sqlite:w.db', table: t}}\n"
      "  - {name: b, source: {sqlite: w.db, sqlite_table: t}, load: {into: 'null:'}}\n",
      "3:1: source: it reads what the step 'a' writes; give needs: [a]" },
};

static void mistake(void **state)
{
    const struct row *r = *state;
    struct pipeline p;
    struct strings mistakes = { 0 };
    struct err e;
    char all[2000] = "";
    EXPECT(ERR_INVALID, &e, read_text(&p, r->yaml, &mistakes, &e));
    for (size_t i = 0; i < mistakes.n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? "\n" : "",
                 mistakes.v[i]);
    assert_string_equal(all, r->lines);
    strings_free(&mistakes);
    pipeline_free(&p);
}

static void what_a_step_needs_stands_before_it(void **state)
{
    struct pipeline p;
    struct strings mistakes = { 0 };
    struct err e;
    static const char yaml[] = "name: p\nsteps:\n" STEP("d", ", needs: [b, c]")
        STEP("b", ", needs: a") STEP("a", "") STEP("c", ", needs: a") STEP("x", "");
    static const char *const want[] = { "a", "b", "c", "d", "x" };
    (void)state;
    PASS(&e, read_text(&p, yaml, &mistakes, &e));
    assert_string_equal(p.name, "p");
    EQ_I64(5, p.n);
    for (uint32_t i = 0; i < 5; i++) {
        assert_string_equal(p.steps[i].job.name, want[i]);
        for (size_t k = 0; k < p.steps[i].job.needs.n; k++) {
            uint32_t need = p.steps[i].need[k];
            assert_true(need < i);
            assert_string_equal(p.steps[need].job.name, p.steps[i].job.needs.v[k]);
        }
    }
    assert_true(pipeline_waits_for(&p, 3, 0));
    assert_false(pipeline_waits_for(&p, 1, 2));
    assert_false(pipeline_waits_for(&p, 4, 0));
    EQ_I64(JOB_STEP_BESIDE, p.steps[1].job.place);
    strings_free(&mistakes);
    pipeline_free(&p);
}

static void every_step_has_the_charts_of_its_pipeline(void **state)
{
    struct pipeline p;
    struct strings mistakes = { 0 };
    struct err e;
    (void)state;
    PASS(&e, read_text(
                 &p,
                 "charts:\n  - {table: T, x: i, y: [i, j]}\nsteps:\n"
                 "  - {name: a, source: {range: 1}, load: {into: 'sqlite:w.db', table: t},"
                 " charts: [{x: i, y: i}]}\n" STEP("b", ""),
                 &mistakes, &e));
    EQ_I64(1, p.charts.n);
    EQ_I64(2, p.steps[0].job.charts.n);
    EQ_I64(1, p.steps[1].job.charts.n);
    assert_null(p.steps[0].job.charts.v[0].into);
    assert_string_equal("T", p.steps[1].job.charts.v[0].table);
    assert_string_equal(p.steps[0].job.into, p.steps[1].job.charts.v[0].into);
    strings_free(&mistakes);
    pipeline_free(&p);
}

static void a_chain_has_a_bar_for_each(void **state)
{
    struct pipeline p;
    struct strings mistakes = { 0 };
    struct err e;
    (void)state;
    PASS(&e,
         read_text(&p, "steps:\n" STEP("a", "") STEP("b", ", needs: a"), &mistakes, &e));
    EQ_I64(JOB_STEP, p.steps[0].job.place);
    EQ_I64(JOB_STEP, p.steps[1].job.place);
    strings_free(&mistakes);
    pipeline_free(&p);
}

static void a_step_and_a_flag_of_pipelines_are_refused_in_a_job(void **state)
{
    struct job j;
    struct conf c;
    struct strings mistakes = { 0 };
    struct err e;
    static const char yaml[] = "source: {range: 1}\nload: {into: 'null:'}\nneeds: [a]\n";
    (void)state;
    job_init(&j);
    conf_init(&c, &j, &mistakes);
    PASS(&e, conf_text(&c, "job.yaml", yaml, strlen(yaml), &e));
    EXPECT(ERR_INVALID, &e, conf_finish(&c, &e));
    assert_string_equal(e.text, "job.yaml:3:1: needs: it stands in a step of a pipeline");
    strings_free(&mistakes);
    job_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_step_needs_stands_before_it),
        cmocka_unit_test(every_step_has_the_charts_of_its_pipeline),
        cmocka_unit_test(a_chain_has_a_bar_for_each),
        cmocka_unit_test(a_step_and_a_flag_of_pipelines_are_refused_in_a_job),
    };
    return test_main("pipeline", tests, N_OF(tests), TABLE(rows, mistake), N_OF(rows));
}

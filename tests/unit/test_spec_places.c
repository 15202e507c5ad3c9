// Where the files of a program stand, as a spec says it.

#include "tests/spec_kit.h"

static struct spec placed(uint32_t file, const char *path)
{
    struct err e;
    struct spec s = small_spec();
    add_file(&s, "util.py", 0400);
    add_exec(&s);
    struct step *x = &s.steps[s.n_steps - 1];
    PASS(&e, step_add_place(x, 0, "lib/..util.py", &e));
    PASS(&e, step_add_place(x, file, path, &e));
    return s;
}

static void files_beside_a_program_have_places(void **state)
{
    struct err e;
    struct spec s = placed(0, "util.py"), back;
    struct buf b = { 0 };
    (void)state;
    PASS(&e, spec_encode(&s, &b, &e));
    PASS(&e, spec_decode(&back, b.p, b.n, &e));
    const struct step *x = &s.steps[s.n_steps - 1], *y = &back.steps[back.n_steps - 1];
    EQ_I64(2, y->n_places);
    for (size_t i = 0; i < y->n_places; i++) {
        EQ_I64(x->places[i].file, y->places[i].file);
        assert_string_equal(x->places[i].path, y->places[i].path);
    }
    buf_free(&b);
    spec_free(&s);
    spec_free(&back);
}

struct place {
    const char *name;
    uint32_t file;
    const char *path, *says;
};

static const struct place places[] = {
    { "place_above_its_folder", 0, "../util.py", "not below its folder" },
    { "place_that_leaves_its_folder", 0, "a/../../b", "not below its folder" },
    { "place_at_the_root", 0, "/etc/passwd", "not below its folder" },
    { "place_in_a_folder_without_name", 0, "a//b", "not below its folder" },
    { "place_that_is_a_folder", 0, "a/", "not below its folder" },
    { "place_here", 0, "a/./b", "not below its folder" },
    { "place_without_name", 0, "", "place of a file" },
    { "place_of_a_file_that_the_job_lacks", 1, "a", "its file is none of the job's" },
};

static void is_no_place(void **state)
{
    const struct place *t = *state;
    struct err e;
    struct spec s = placed(t->file, t->path), back;
    struct buf b = { 0 };
    PASS(&e, spec_encode(&s, &b, &e));
    EXPECT(ERR_PROTO, &e, spec_decode(&back, b.p, b.n, &e));
    assert_non_null(strstr(e.text, t->says));
    buf_free(&b);
    spec_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_beside_a_program_have_places),
    };
    return test_main("spec_places", tests, N_OF(tests), TABLE(places, is_no_place),
                     N_OF(places));
}

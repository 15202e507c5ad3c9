// Which files are read, which are refused and with what words, and what their headers say.

#include "tests/source_kit.h"
#include "tests/test.h"

#include <sys/wait.h>

#define BOM "\xef\xbb\xbf"

static err_t open_list(const struct folder *f, const char *list, struct source **s,
                       struct err *e)
{
    struct job j = job_of(f, list);
    err_t rc = source_open(s, &j, e);
    job_free(&j);
    return rc;
}

static void expect_inputs(struct source *s, const char *names)
{
    char got[400] = "";
    uint32_t n;
    const struct source_input *in = source_inputs(s, &n);
    for (uint32_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "",
                 in[i].name);
    assert_string_equal(names, got);
}

// ---- globs ----

struct glob_row {
    const char *name, *list, *inputs;
};
static const struct glob_row glob_rows[] = {
    { "one_file", "a.csv", "a.csv" },
    { "matches_are_sorted_by_bytes", "*.csv", "B.csv [x].csv a.csv b.csv z.csv" },
    { "the_order_of_the_list_is_kept", "b.csv a.csv", "b.csv a.csv" },
    { "a_file_comes_once", "a.csv *.csv", "a.csv B.csv [x].csv b.csv z.csv" },
    { "under_any_name", "a.csv ./a.csv sub/../a.csv link.lnk", "a.csv" },
    { "question_marks", "?.csv", "B.csv a.csv b.csv z.csv" },
    { "classes", "[ab].csv", "a.csv b.csv" },
    { "a_path_that_exists_is_no_glob", "[x].csv", "[x].csv" },
    { "hidden_files_are_not_matched", "*.hid a.csv", NULL },
    { "folders_in_between", "su*/c*.csv", "sub/c1.csv sub/c2.csv" },
    { "a_dot_slash_stays", "./su*/c*.csv", "./sub/c1.csv ./sub/c2.csv" },
};

static void expands(void **state)
{
    const struct glob_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    char path[PATH_SPACE], to[PATH_SPACE];
    // The folder's own name must not be taken for a pattern.
    struct folder odd = f;
    strcpy(odd.path + strlen(f.path), "/[a]*\\?");
    assert_int_equal(mkdir(odd.path, 0700), 0);
    assert_int_equal(mkdir(in_folder(&odd, "sub", path), 0700), 0);
    static const char *files[] = { "a.csv",   "b.csv",  "B.csv",      "z.csv",
                                   "[x].csv", ".h.hid", "sub/c1.csv", "sub/c2.csv" };
    for (size_t i = 0; i < N_OF(files); i++)
        put_text(&odd, files[i], "h\n1\n");
    assert_int_equal(
        symlink(in_folder(&odd, "a.csv", path), in_folder(&odd, "link.lnk", to)), 0);
    if (row->inputs) {
        PASS(&e, open_list(&odd, row->list, &s, &e));
        expect_inputs(s, row->inputs);
        source_close(&s);
    } else {
        EXPECT(ERR_INVALID, &e, open_list(&odd, row->list, &s, &e));
    }
    folder_rm(&f);
}

static void a_glob_without_a_match_is_named(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    put_text(&f, "a.csv", "h\n");
    EXPECT(ERR_INVALID, &e, open_list(&f, "a.csv no-*.csv", &s, &e));
    assert_string_equal(e.text, "no file matches 'no-*.csv'");
    EXPECT(ERR_INVALID, &e, open_list(&f, "a.csv no.csv", &s, &e));
    assert_string_equal(e.text, "no.csv does not exist");
    folder_rm(&f);
}

static void no_input_at_all_is_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    EXPECT(ERR_INVALID, &e, open_list(&f, "", &s, &e));
    assert_non_null(strstr(e.text, "no input"));
    EXPECT(ERR_INVALID, &e, open_list(&f, "- -", &s, &e));
    assert_string_equal(e.text, "'-' (standard input) can be read only once");
    folder_rm(&f);
}

static void a_glob_that_hides_an_unreadable_folder_is_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    char path[PATH_SPACE];
    chmod(f.path, 0755);
    assert_int_equal(mkdir(in_folder(&f, "closed", path), 0), 0);
    uid_t me = geteuid();
    if (me == 0) assert_int_equal(seteuid(65534), 0);
    err_t rc = open_list(&f, "*/x.csv closed/*.csv", &s, &e);
    if (me == 0) assert_int_equal(seteuid(me), 0);
    assert_int_equal(rc, ERR_INVALID); // the first glob matches nothing
    if (me == 0) assert_int_equal(seteuid(65534), 0);
    rc = open_list(&f, "closed/*.csv", &s, &e);
    if (me == 0) assert_int_equal(seteuid(me), 0);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(e.text, "'closed/*.csv': cannot list folder "));
    assert_non_null(strstr(e.text, "Permission denied"));
    folder_rm(&f);
}

static void stdin_stands_among_files(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    char path[PATH_SPACE];
    put_text(&f, "a.csv", "h\n1\n");
    put_text(&f, "b.csv", "h\n2\n");
    int old = stdin_from(in_folder(&f, "b.csv", path));
    PASS(&e, open_list(&f, "a.csv -", &s, &e));
    expect_inputs(s, "a.csv -");
    uint32_t n;
    const struct source_input *in = source_inputs(s, &n);
    assert_null(in[1].path);
    assert_true(in[1].by_value && !in[0].by_value);
    assert_int_equal(in[0].path[0], '/');
    source_close(&s);
    stdin_back(old);
    folder_rm(&f);
}

static void a_fifo_is_read_by_value(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    char path[PATH_SPACE];
    assert_int_equal(mkfifo(in_folder(&f, "p", path), 0600), 0);
    struct job j = job_of(&f, "p");
    pid_t child = fork();
    if (child == 0) {
        int to = open(path, O_WRONLY);
        _exit(write(to, "h\n1\n2\n", 6) == 6 ? 0 : 1);
    }
    PASS(&e, source_open(&s, &j, &e));
    _Atomic uint64_t target = 100;
    struct chunk_data *out, *bad;
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    EQ_I64(4, out->held);
    assert_memory_equal(out->bytes, "1\n2\n", 4);
    chunk_data_free(&out);
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    assert_null(out);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    EQ_I64(0, status);
    source_close(&s);
    job_free(&j);
    folder_rm(&f);
}

// ---- what is no CSV ----

struct refuse_row {
    const char *name, *bytes;
    size_t n;
    const char *sentence;
};
#define BYTES(s) s, sizeof s - 1
static const struct refuse_row refuse_rows[] = {
    { "empty", BYTES(""), "x.csv is empty: no header to take column names from" },
    { "only_a_bom", BYTES(BOM), "x.csv is empty" },
    { "only_blank_lines", BYTES("\n\r\n\n"), "x.csv is empty" },
    { "utf_16_le",
      BYTES("\xff\xfe"
            "a\0,\0"),
      "x.csv is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8" },
    { "utf_16_be", BYTES("\xfe\xff\0a\0,"), "x.csv is UTF-16" },
    { "gzip", BYTES("\x1f\x8b\x08\0\0"), "its name must end in .gz" },
    { "zstd", BYTES("\x28\xb5\x2f\xfd\0"), "its name must end in .zst" },
    { "xz",
      BYTES("\xfd"
            "7zXZ\0\0"),
      "compressed with xz; pipe it: xz -dc" },
    { "a_spreadsheet", BYTES("PK\x03\x04\x14\0"), "a zip archive or a spreadsheet" },
    { "an_sqlite_database", BYTES("SQLite format 3\0\x10"), "x.csv is an SQLite database" },
    { "a_nul_in_the_header", BYTES("a\0b,c\n1,2\n"),
      "x.csv looks binary: a NUL byte at byte 1" },
    { "many_nuls", BYTES("a,b\n\0\0\0\0"),
      "x.csv looks binary: a NUL byte at byte 4, 4 of" },
    { "cr_only", BYTES("a,b\r1,2\r3,4\r"), "x.csv ends its lines with CR only" },
    { "a_header_that_is_not_utf8",
      BYTES("a,stra\xdf"
            "e\n1,2\n"),
      "x.csv: the name of column 2 is not UTF-8: 'stra" },
    { "an_open_quote_in_the_header", BYTES("a,\"b\n1,2\n"),
      "x.csv: line 1: the quote at byte 2 is never closed" },
    { "semicolons", BYTES("a;b;c\n1,5;2;3\n2;3;4\n"),
      "x.csv: its first line is one column at ',', and 3 columns at ';': say --delimiter "
      "';', or --delimiter ',' if one column is right" },
    { "tabs", BYTES(BOM "\na\tb\r\n1\t2\r\n3\t4"),
      "2 columns at tab: say --delimiter tab" },
    { "bars_beside_quotes", BYTES("\"a,;\"|b\n\"1;\n,\"|2\n"), "2 columns at '|'" },
    { "rows_that_disagree", BYTES("a;b\n1,2\n3,4\n"), "2 columns at ';'" },
};

static void refuses(void **state)
{
    const struct refuse_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    struct source *s = NULL;
    put_file(&f, "x.csv", row->bytes, row->n);
    assert_int_not_equal(open_list(&f, "x.csv", &s, &e), ERR_OK);
    if (!strstr(e.text, row->sentence))
        fail_msg("'%s' is not in: %s", row->sentence, e.text);
    folder_rm(&f);
}

struct hint_row {
    const char *name, *bytes, *hint; // "": none
};
static const struct hint_row hint_rows[] = {
    { "one_column_that_may_be_two", "a;b\nx\ny\n",
      "2 columns at ';': say --delimiter ';'" },
    { "a_header_alone", "a|b\n", "2 columns at '|'" },
    { "quoted", "\"a;b\"\nx\n", "" },
    { "two_columns", "a;b,c\n1;2,3\n", "" },
    { "semicolons_in_rows", "a\n1;2\n3;4\n", "" },
    { "latin_1", "a\nM\xfcller\nSt\xf6r\nok\n",
      "x.csv: 2 of its first 4 lines are not UTF-8, and such rows are rejected; if it is "
      "Windows-1252 or Latin-1, convert it: iconv -f WINDOWS-1252 -t UTF-8" },
    { "one_stray_byte", "a\nM\xfcller\nok\n", "" },
    { "utf_8", "a\nM\xc3\xbcller\nSt\xc3\xb6r\n", "" },
};

static void hints(void **state)
{
    const struct hint_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    struct schema names;
    struct strings notes = { 0 };
    put_file(&f, "x.csv", row->bytes, strlen(row->bytes));
    PASS(&e, open_list(&f, "x.csv", &s, &e));
    PASS(&e, source_names(s, &names, &notes, &e));
    EQ_I64(*row->hint != 0, notes.n);
    if (notes.n && !strstr(notes.v[0], row->hint)) fail_msg("%s", notes.v[0]);
    strings_free(&notes);
    schema_free(&names);
    source_close(&s);
    folder_rm(&f);
}

static void a_delimiter_that_was_said_is_taken(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    put_file(&f, "x.csv", "a;b\n1;2\n", 8);
    struct job j = job_of(&f, "x.csv");
    j.delimiter_given = true;
    PASS(&e, source_open(&s, &j, &e));
    source_close(&s);
    job_free(&j);
    folder_rm(&f);
}

static void one_nul_in_a_row_is_a_bad_row_and_no_more(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    char text[2000] = "a,b\n";
    memset(text + 4, '1', sizeof text - 4);
    text[1000] = 0;
    put_file(&f, "x.csv", text, sizeof text);
    PASS(&e, open_list(&f, "x.csv", &s, &e));
    source_close(&s);
    folder_rm(&f);
}

static void a_header_without_end_is_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    size_t n = 3 << 20;
    char *text = malloc(n);
    memset(text, 'x', n);
    put_file(&f, "x.csv", text, n);
    EXPECT(ERR_TOOBIG, &e, open_list(&f, "x.csv", &s, &e));
    assert_non_null(
        strstr(e.text, "x.csv: the first record does not end within 1048576 bytes"));
    free(text);
    folder_rm(&f);
}

// ---- headers ----

struct header_row {
    const char *name, *bytes;
    enum job_header header;
    const char *columns; // of the first two, given ones are p and q
    uint64_t data_begin, lines;
};
static const struct header_row header_rows[] = {
    { "a_header", "a,b\n1,2\n", HEADER_TRUE, "a,b", 4, 1 },
    { "crlf", "a,b\r\n1,2\r\n", HEADER_TRUE, "a,b", 5, 1 },
    { "a_bom", BOM "a,b\n1,2\n", HEADER_TRUE, "a,b", 7, 1 },
    { "a_bom_before_a_quote", BOM "\"a\",b\n1,2\n", HEADER_TRUE, "a,b", 9, 1 },
    { "a_quoted_line_end", "\"a\nx\",b\n1,2\n", HEADER_TRUE, "a\nx,b", 8, 2 },
    { "blank_lines_before", "\n\r\na,b\n1,2\n", HEADER_TRUE, "a,b", 7, 3 },
    { "no_line_end", "a,b", HEADER_TRUE, "a,b", 3, 0 },
    { "spaces_stay", " a ,b\n1,2\n", HEADER_TRUE, " a ,b", 6, 1 },
    { "duplicates", "a,A\n", HEADER_TRUE, "a,A_2", 4, 1 },
    { "none", "a,b\n1,2\n", HEADER_FALSE, "column_1,column_2", 0, 0 },
    { "none_after_a_bom", BOM "a,b\n1,2\n", HEADER_FALSE, "column_1,column_2", 3, 0 },
    { "given", "1,2\n", HEADER_NAMES, "p,q", 0, 0 },
    { "given_for_nothing", "", HEADER_NAMES, "p,q", 0, 0 },
    { "given_after_a_bom", BOM "1,2\n", HEADER_NAMES, "p,q", 3, 0 },
};

static void reads_the_header(void **state)
{
    const struct header_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    struct schema names;
    char got[100];
    put_text(&f, "x.csv", row->bytes);
    struct job j = job_of(&f, "x.csv");
    j.header = row->header;
    PASS(&e, strings_add(&j.header_names, "p", 1, &e));
    PASS(&e, strings_add(&j.header_names, "q", 1, &e));
    PASS(&e, source_open(&s, &j, &e));
    job_free(&j);
    PASS(&e, source_names(s, &names, NULL, &e));
    EQ_I64(2, names.n);
    snprintf(got, sizeof got, "%s,%s", names.f[0].name, names.f[1].name);
    assert_string_equal(row->columns, got);
    uint32_t n;
    const struct source_input *in = source_inputs(s, &n);
    EQ_I64(row->data_begin, in->data_begin);
    EQ_I64(row->lines, in->header_lines);
    schema_free(&names);
    source_close(&s);
    folder_rm(&f);
}

static void an_empty_file_among_others_is_skipped(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    put_text(&f, "a.csv", "");
    put_text(&f, "b.csv", "h\n1\n");
    put_text(&f, "c.csv", "\n");
    PASS(&e, open_list(&f, "*.csv", &s, &e));
    expect_inputs(s, "a.csv b.csv c.csv");
    _Atomic uint64_t target = 100;
    struct chunk_data *out, *bad;
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    EQ_I64(1, out->range.input);
    EQ_I64(1, out->records);
    chunk_data_free(&out);
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    assert_null(out);
    source_close(&s);
    put_text(&f, "b.csv", "");
    EXPECT(ERR_INVALID, &e, open_list(&f, "*.csv", &s, &e));
    assert_non_null(strstr(e.text, "all 3 files are empty: no header to take"));
    folder_rm(&f);
}

static void headers_must_agree(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    put_text(&f, "a.csv", "");
    put_text(&f, "b.csv", "x,\"y\"\n");
    put_text(&f, "c.csv", BOM "x,y\r\n1,2\r\n");
    PASS(&e, open_list(&f, "*.csv", &s, &e));
    source_close(&s);
    put_text(&f, "d.csv", "x,z\n");
    EXPECT(ERR_INVALID, &e, open_list(&f, "*.csv", &s, &e));
    assert_non_null(strstr(e.text, "column 2 is 'y' in b.csv and 'z' in d.csv"));
    folder_rm(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_glob_without_a_match_is_named),
        cmocka_unit_test(no_input_at_all_is_refused),
        cmocka_unit_test(a_glob_that_hides_an_unreadable_folder_is_refused),
        cmocka_unit_test(stdin_stands_among_files),
        cmocka_unit_test(a_fifo_is_read_by_value),
        cmocka_unit_test(a_delimiter_that_was_said_is_taken),
        cmocka_unit_test(one_nul_in_a_row_is_a_bad_row_and_no_more),
        cmocka_unit_test(a_header_without_end_is_refused),
        cmocka_unit_test(an_empty_file_among_others_is_skipped),
        cmocka_unit_test(headers_must_agree),
    };
    int failed = test_main("source_open", tests, N_OF(tests), NULL, 0);
    failed += test_main("glob", NULL, 0, TABLE(glob_rows, expands), N_OF(glob_rows));
    failed += test_main("refuse", NULL, 0, TABLE(refuse_rows, refuses), N_OF(refuse_rows));
    failed += test_main("hint", NULL, 0, TABLE(hint_rows, hints), N_OF(hint_rows));
    return failed + test_main("header", NULL, 0, TABLE(header_rows, reads_the_header),
                              N_OF(header_rows));
}

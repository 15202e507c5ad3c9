#include "tests/spec_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void same_schema(const struct schema *a, const struct schema *b)
{
    EQ_I64(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        assert_string_equal(a->f[i].name, b->f[i].name);
        EQ_I64(a->f[i].type, b->f[i].type);
        EQ_I64(a->f[i].given, b->f[i].given);
    }
}

static void same_cell(const struct cell *a, const struct cell *b)
{
    EQ_I64(a->kind, b->kind);
    if (a->kind == CELL_INTEGER) EQ_I64(a->i, b->i);
    if (a->kind == CELL_REAL) assert_memory_equal(&a->r, &b->r, sizeof a->r);
    if (a->kind != CELL_TEXT && a->kind != CELL_BLOB) return;
    EQ_I64(a->len, b->len);
    assert_memory_equal(a->p, b->p, a->len);
}

static void same_text(const char *a, const char *b)
{
    EQ_I64(a == NULL, b == NULL);
    if (a) assert_string_equal(a, b);
}

static void same_pairs(const struct job_pairs *a, const struct job_pairs *b)
{
    EQ_I64(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->v[i].name, b->v[i].name);
        assert_string_equal(a->v[i].value, b->v[i].value);
    }
}

static void same_http(const struct step_http *a, const struct step_http *b)
{
    same_text(a->url, b->url);
    same_text(a->rows, b->rows);
    same_text(a->next, b->next);
    same_pairs(&a->headers, &b->headers);
    same_pairs(&a->fields, &b->fields);
    EQ_I64(a->keep.n, b->keep.n);
    for (size_t i = 0; i < a->keep.n; i++)
        assert_string_equal(a->keep.v[i], b->keep.v[i]);
    EQ_I64(a->keep_given, b->keep_given);
    EQ_I64(a->fields_given, b->fields_given);
    EQ_I64(a->pages, b->pages);
    EQ_I64(a->redirects, b->redirects);
    EQ_I64(a->retries, b->retries);
    EQ_I64(a->concurrency, b->concurrency);
    EQ_I64(a->gap_ns, b->gap_ns);
    EQ_I64(a->timeout_ms, b->timeout_ms);
    EQ_I64(a->connect_ms, b->connect_ms);
    EQ_I64(a->body_bytes, b->body_bytes);
}

static void same_forecast(const struct step_forecast *a, const struct step_forecast *b)
{
    same_text(a->ds, b->ds);
    same_text(a->y, b->y);
    EQ_I64(a->by.n, b->by.n);
    for (size_t i = 0; i < a->by.n; i++)
        assert_string_equal(a->by.v[i], b->by.v[i]);
    EQ_I64(a->periods, b->periods);
    EQ_I64(a->permille, b->permille);
    EQ_I64(a->every, b->every);
    EQ_I64(a->holidays, b->holidays);
}

static void same_step(const struct step *a, const struct step *b)
{
    EQ_I64(a->kind, b->kind);
    EQ_I64(a->format, b->format);
    EQ_I64(a->persistent, b->persistent);
    EQ_I64(a->sandbox, b->sandbox);
    same_text(a->sql, b->sql);
    EQ_I64(a->gathers, b->gathers);
    same_text(a->dir, b->dir);
    same_text(a->path, b->path);
    if (a->said) assert_string_equal(a->said, b->said);
    same_schema(&a->out, &b->out);
    EQ_I64(a->n_files, b->n_files);
    EQ_I64(a->argv.n, b->argv.n);
    for (size_t i = 0; i < a->argv.n; i++)
        assert_string_equal(a->argv.v[i], b->argv.v[i]);
    same_pairs(&a->env, &b->env);
    same_pairs(&a->args, &b->args);
    same_http(&a->http, &b->http);
    same_forecast(&a->forecast, &b->forecast);
}

static void same(const struct spec *a, const struct spec *b)
{
    EQ_I64(a->dialect.delimiter, b->dialect.delimiter);
    EQ_I64(a->dialect.quote, b->dialect.quote);
    EQ_I64(a->dialect.nulls != NULL, b->dialect.nulls != NULL);
    EQ_I64(a->dialect.n_nulls, b->dialect.n_nulls);
    for (size_t i = 0; i < a->dialect.n_nulls; i++)
        assert_string_equal(a->dialect.nulls[i], b->dialect.nulls[i]);
    same_schema(&a->in, &b->in);
    EQ_I64(a->aggregate.by.n, b->aggregate.by.n);
    for (size_t i = 0; i < a->aggregate.by.n; i++)
        assert_string_equal(a->aggregate.by.v[i], b->aggregate.by.v[i]);
    EQ_I64(a->aggregate.n_fn, b->aggregate.n_fn);
    for (size_t i = 0; i < a->aggregate.n_fn; i++) {
        assert_string_equal(a->aggregate.fn[i].name, b->aggregate.fn[i].name);
        assert_string_equal(a->aggregate.fn[i].text, b->aggregate.fn[i].text);
    }
    same_schema(&a->out, &b->out);
    assert_string_equal(a->reader ? a->reader : "", b->reader);
    assert_int_equal(a->query != NULL, b->query != NULL);
    if (a->query) assert_string_equal(a->query, b->query);
    assert_int_equal(a->list != NULL, b->list != NULL);
    if (a->list) assert_string_equal(a->list, b->list);
    EQ_I64(a->fields.n, b->fields.n);
    for (size_t i = 0; i < a->fields.n; i++)
        assert_string_equal(a->fields.v[i], b->fields.v[i]);
    EQ_I64(a->n_steps, b->n_steps);
    for (size_t i = 0; i < a->n_steps; i++)
        same_step(&a->steps[i], &b->steps[i]);
    EQ_I64(a->n_params, b->n_params);
    for (size_t i = 0; i < a->n_params; i++) {
        assert_string_equal(a->params[i].name, b->params[i].name);
        same_cell(&a->params[i].value, &b->params[i].value);
    }
    EQ_I64(a->n_tables, b->n_tables);
    for (size_t i = 0; i < a->n_tables; i++) {
        assert_string_equal(a->tables[i].name, b->tables[i].name);
        same_schema(&a->tables[i].schema, &b->tables[i].schema);
        EQ_I64(a->tables[i].csv_bytes, b->tables[i].csv_bytes);
        EQ_I64(a->tables[i].csv == NULL, b->tables[i].csv == NULL);
        if (a->tables[i].csv) {
            assert_memory_equal(a->tables[i].csv, b->tables[i].csv, a->tables[i].csv_bytes);
            continue;
        }
        EQ_I64(a->tables[i].file, b->tables[i].file);
        EQ_I64(a->tables[i].file_at, b->tables[i].file_at);
        assert_true(hash_equal(a->tables[i].digest, b->tables[i].digest));
    }
    EQ_I64(a->files.n, b->files.n);
    for (size_t i = 0; i < a->files.n; i++) {
        const struct job_file *f = &a->files.v[i], *g = &b->files.v[i];
        assert_string_equal(f->name, g->name);
        assert_string_equal(f->path, g->path);
        EQ_I64(f->size, g->size);
        EQ_I64(f->mode, g->mode);
        assert_memory_equal(&f->digest, &g->digest, sizeof f->digest);
    }
    assert_string_equal(a->sink, b->sink);
    EQ_I64(a->timeout_ms, b->timeout_ms);
    EQ_I64(a->memory_bytes, b->memory_bytes);
    EQ_I64(a->result_max_bytes, b->result_max_bytes);
}

// The encoding is gone when the spec is looked at: nothing may point into it.
static void round_trip(struct spec *s)
{
    struct err e;
    struct buf b = { 0 };
    struct spec got;
    PASS(&e, spec_encode(s, &b, &e));
    PASS(&e, spec_decode(&got, b.p, b.n, &e));
    memset(b.p, 0xee, b.n);
    buf_free(&b);
    same(s, &got);
    spec_free(&got);
    spec_free(s);
}

static void everything_comes_back(void **state)
{
    (void)state;
    struct spec s = full_spec();
    round_trip(&s);
}

static void next_to_nothing_comes_back(void **state)
{
    (void)state;
    struct spec s = small_spec();
    round_trip(&s);
}

static void types_that_sql_promises_come_back(void **state)
{
    (void)state;
    struct err e;
    struct spec s = small_spec(), got;
    struct buf b = { 0 };
    set_sql(&s, "SELECT 1");
    add_column(&s.steps[0].out, "x", TYPE_REAL, false);
    PASS(&e, spec_encode(&s, &b, &e));
    PASS(&e, spec_decode(&got, b.p, b.n, &e));
    same_schema(&s.steps[0].out, &got.steps[0].out);
    spec_free(&got);
    spec_free(&s);
    buf_free(&b);
}

static void sql_that_sums_up_comes_back(void **state)
{
    (void)state;
    struct spec s = small_spec();
    set_sql(&s, "SELECT count(*) FROM batch");
    s.steps[0].gathers = true;
    round_trip(&s);
}

static void the_query_of_a_table_comes_back(void **state)
{
    (void)state;
    struct spec s = small_spec();
    s.query = strdup("SELECT rowid, * FROM t");
    round_trip(&s);
}

static void no_null_strings_are_not_the_default_ones(void **state)
{
    (void)state;
    struct spec s = small_spec();
    set_nulls(&s, 0, NULL);
    round_trip(&s);
}

static void a_quote_may_be_missing(void **state)
{
    (void)state;
    struct spec s = small_spec();
    s.dialect = (struct csv_dialect){ .delimiter = '\t', .quote = 0 };
    round_trip(&s);
}

static void as_many_columns_as_there_may_be_come_back(void **state)
{
    (void)state;
    struct spec s = small_spec();
    char name[20];
    for (int i = 0; i < SCHEMA_MAX_COLUMNS; i++) {
        snprintf(name, sizeof name, "c%d", i);
        add_column(&s.in, name, TYPE_INTEGER, false);
        add_column(&s.out, name, TYPE_TEXT, true);
    }
    round_trip(&s);
}

static void the_padding_behind_a_table_is_zero(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    static const uint8_t zero[CSV_PAD];
    struct spec s = full_spec(), got;
    PASS(&e, spec_encode(&s, &b, &e));
    PASS(&e, spec_decode(&got, b.p, b.n, &e));
    for (size_t i = 0; i < got.n_tables && got.tables[i].csv; i++)
        assert_memory_equal(zero, got.tables[i].csv + got.tables[i].csv_bytes, CSV_PAD);
    spec_free(&got);
    spec_free(&s);
    buf_free(&b);
}

static void a_schema_alone_comes_back(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct schema got;
    struct spec s = full_spec();
    PASS(&e, spec_encode_schema(&s.in, &b, &e));
    PASS(&e, spec_decode_schema(&got, b.p, b.n, &e));
    same_schema(&s.in, &got);
    schema_free(&got);
    for (size_t n = 0; n < b.n; n++) {
        EXPECT(ERR_PROTO, &e, spec_decode_schema(&got, b.p, n, &e));
        EQ_I64(0, got.n);
    }
    spec_free(&s);
    buf_free(&b);
}

static err_t decode_copy(const uint8_t *p, size_t n, struct err *e)
{
    struct spec got;
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    err_t rc = spec_decode(&got, copy, n, e);
    free(copy);
    if (rc == ERR_OK) spec_free(&got);
    assert_null(got.sink);
    return rc;
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct spec s = full_spec();
    PASS(&e, spec_encode(&s, &b, &e));
    for (size_t n = 0; n < b.n; n++)
        EXPECT(ERR_PROTO, &e, decode_copy(b.p, n, &e));
    PASS(&e, buf_add(&b, "\xc0", 1, &e));
    EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
    spec_free(&s);
    buf_free(&b);
}

static void no_changed_byte_does_harm(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct spec s = full_spec();
    PASS(&e, spec_encode(&s, &b, &e));
    size_t refused = 0;
    for (size_t at = 0; at < b.n; at++) {
        uint8_t was = b.p[at];
        for (int v = 0; v < 256; v++) {
            b.p[at] = (uint8_t)v;
            err_t rc = decode_copy(b.p, b.n, &e);
            assert_true(rc == ERR_OK || rc == ERR_PROTO);
            refused += rc != ERR_OK;
        }
        b.p[at] = was;
    }
    assert_true(refused > b.n * 100);
    spec_free(&s);
    buf_free(&b);
}

// What may not be sent; each spec is a small one with one thing wrong.

static void bad_delimiter(struct spec *s)
{
    s->dialect.delimiter = '\n';
}
static void no_delimiter(struct spec *s)
{
    s->dialect.delimiter = 0;
}
static void delimiter_is_quote(struct spec *s)
{
    s->dialect.delimiter = '"';
}
static void bad_quote(struct spec *s)
{
    s->dialect.quote = '\r';
}
static void twice_the_same_column(struct spec *s)
{
    add_column(&s->in, "Year", TYPE_TEXT, false);
    add_column(&s->in, "a", TYPE_TEXT, false);
    add_column(&s->in, "yEAR", TYPE_TEXT, false);
}
static void nameless_column(struct spec *s)
{
    add_column(&s->out, "", TYPE_TEXT, false);
}
static void typeless_column(struct spec *s)
{
    add_column(&s->out, "a", (enum type)99, false);
}
static void column_not_utf8(struct spec *s)
{
    add_column(&s->out, "\xff", TYPE_TEXT, false);
}
static void sql_not_utf8(struct spec *s)
{
    set_sql(s, "SELECT '\xff'");
}
static void param_not_utf8(struct spec *s)
{
    add_param(s, "day", bytes_cell(CELL_TEXT, "\xff", 1));
}
static void param_of_no_kind(struct spec *s)
{
    add_param(s, "day", (struct cell){ .kind = 77 });
}
static void too_many_params(struct spec *s)
{
    for (int i = 0; i <= SPEC_PARAMS_MAX; i++)
        add_param(s, "x", (struct cell){ .kind = CELL_NULL });
}
static void too_many_tables(struct spec *s)
{
    for (int i = 0; i <= SPEC_TABLES_MAX; i++)
        add_table(s, "x", "");
}
static void too_many_nulls(struct spec *s)
{
    static const char *v[SPEC_NULLS_MAX + 1];
    for (size_t i = 0; i < N_OF(v); i++)
        v[i] = "NA";
    set_nulls(s, N_OF(v), v);
}
static void too_long_a_step(struct spec *s)
{
    char *sql = malloc(SPEC_TEXT_MAX + 2);
    memset(sql, ' ', SPEC_TEXT_MAX + 1);
    sql[SPEC_TEXT_MAX + 1] = 0;
    set_sql(s, sql);
    free(sql);
}
static void too_large_a_table(struct spec *s)
{
    add_table(s, "airports", "");
    s->tables[0].csv_bytes = SPEC_MAX_BYTES;
}
static void negative_timeout(struct spec *s)
{
    s->timeout_ms = -1;
}

struct unsendable {
    const char *name;
    void (*spoil)(struct spec *s);
    err_t want;
    const char *why;
};

static const struct unsendable unsendable[] = {
    { "delimiter_is_a_line_end", bad_delimiter, ERR_INVALID, "no CSV dialect" },
    { "no_delimiter", no_delimiter, ERR_INVALID, "no CSV dialect" },
    { "delimiter_is_the_quote", delimiter_is_quote, ERR_INVALID, "no CSV dialect" },
    { "quote_is_a_line_end", bad_quote, ERR_INVALID, "no CSV dialect" },
    { "two_columns_of_one_name", twice_the_same_column, ERR_INVALID,
      "two columns are called" },
    { "nameless_column", nameless_column, ERR_INVALID, "column 1" },
    { "typeless_column", typeless_column, ERR_INVALID, "column 1 ('a')" },
    { "column_not_utf8", column_not_utf8, ERR_INVALID, "column name is not UTF-8" },
    { "sql_not_utf8", sql_not_utf8, ERR_INVALID, "transform is not UTF-8" },
    { "param_not_utf8", param_not_utf8, ERR_INVALID, "params: day: " },
    { "param_of_no_kind", param_of_no_kind, ERR_INVALID, "params: day: " },
    { "too_many_params", too_many_params, ERR_TOOBIG, "1001 params" },
    { "too_many_tables", too_many_tables, ERR_TOOBIG, "101 tables" },
    { "too_many_nulls", too_many_nulls, ERR_TOOBIG, "1001 null strings" },
    { "too_long_a_step", too_long_a_step, ERR_TOOBIG, "1048577 bytes" },
    { "too_large_a_table", too_large_a_table, ERR_TOOBIG, "tables: airports: " },
    { "negative_timeout", negative_timeout, ERR_INVALID, "timeout" },
};

static void cannot_be_sent(void **state)
{
    const struct unsendable *t = *state;
    struct err e;
    struct buf b = { 0 };
    struct spec s = small_spec();
    t->spoil(&s);
    EXPECT(t->want, &e, spec_encode(&s, &b, &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
    buf_free(&b);
    spec_free(&s);
}

// What may not be received: a good spec, written out, in which one piece is replaced.

struct hostile {
    const char *name;
    const char *from, *to; // hex; `from` occurs once
    const char *why;
};

// 2 | [12: [3: ",", '"', nil], in [], sql [], params [], tables [], "null", out [], 0, 0,
// 0, files [], ["", []]]
#define SMALL     "029c932c22c090909090a46e756c6c900000009092a090"
#define ZERO16    "00000000000000000000000000000000"
#define FILE_OF_9 "9195c40161c4022f6109cd0100c420" ZERO16 ZERO16
static const struct hostile hostile[] = {
    { "another_version", "029c", "019b", "version 1" },
    { "a_field_missing", "029c93", "029b93", "bytes follow" },
    { "not_an_array", SMALL, "02c0", "spec: not a list" },
    { "bombs_do_not_explode", SMALL, "02ddffffffff", "more elements than bytes" },
    { "map", SMALL, "0280", "map" },
    { "dialect_of_two", "932c22c0", "922c22", "dialect: not a list" },
    { "delimiter_of_two_bytes", "932c", "93cd012c", "delimiter: not an integer" },
    { "delimiter_negative", "932c", "93ff", "delimiter: not an integer" },
    { "delimiter_is_the_quote", "932c22", "932222", "dialect: no CSV dialect" },
    { "nulls_no_list", "22c0", "2201", "null strings: not a list" },
    { "null_string_no_text", "22c0", "229101", "null strings: not a text" },
    { "null_string_with_nul", "22c0", "2291a3410042", "null strings: not a text" },
    { "columns_no_list", "c0909090", "c0c09090", "columns: not a list" },
    { "column_no_list", "c0909090", "c091c09090", "column: not a list" },
    { "column_without_name", "c0909090", "c09193a001c29090", "column 1: not a name" },
    { "column_name_with_nul", "c0909090",
      "c09193a1"
      "0001c29090",
      "column 1: not a name" },
    { "column_name_as_bytes", "c0909090", "c09193c4016101c29090", "column 1: not a name" },
    { "type_unknown", "c0909090", "c09193a16108c29090", "column 1: not a type" },
    { "type_zero", "c0909090", "c09193a16100c29090", "column 1: not a type" },
    { "given_no_boolean", "c0909090",
      "c09193a161010190"
      "90",
      "column 1: not a type" },
    { "columns_twice", "c0909090", "c09293a16101c293a14101c29090",
      "two columns are called" },
    { "step_no_text", "c090909090a4",
      "c0909101"
      "9090a4",
      "transform: not a list" },
    { "step_of_no_kind", "c090909090a4", "c090919200a09090a4", "transform: kind 0" },
    { "step_of_a_later_kind", "c090909090a4", "c090919209a09090a4",
      "kind of a transform: not an integer" },
    { "sql_no_text", "c090909090a4",
      "c09091"
      "9201019090a4",
      "a transform: not a text" },
    { "sql_of_five_parts", "c090909090a4",
      "c09091"
      "9501a090a0a09090a4",
      "transform: kind 1 with 5 parts" },
    { "sql_that_sums_up_twice", "c090909090a4",
      "c09091"
      "9401a090029090a4",
      "whether it sums up rows: not an integer from 0 to 1" },
    { "sql_whose_columns_are_a_text", "c090909090a4",
      "c09091"
      "9301a0a09090a4",
      "columns: not a list of 0 to 2000" },
    { "program_without_arguments", "c090909090a4",
      "c09091"
      "9a0290000000"
      "90a09090a09090a4",
      "program: an empty list" },
    { "program_of_a_strange_format", "c090909090a4",
      "c09091"
      "9a0291a161020000"
      "90a09090a09090a4",
      "format: not an integer" },
    { "program_with_a_strange_sandbox", "c090909090a4",
      "c09091"
      "9a0291a161000003"
      "90a09090a09090a4",
      "sandbox: not an integer" },
    { "variable_without_value", "c090909090a4",
      "c09091"
      "9a0291a161000000"
      "9191a178a09090a09090a4",
      "env: not a list of 2" },
    { "file_of_no_argument", "c090909090a4",
      "c09091"
      "9a0291a161000000"
      "90a091920100"
      "90a09090a4",
      "argument: not an integer" },
    { "file_that_the_job_lacks", "c090909090a4",
      "c09091"
      "9a0291a161000000"
      "90a091920000"
      "90a09090a4",
      "its file is none of the job's" },
    { "http_without_parts", "c090909090a4",
      "c09091"
      "9204a09090a4",
      "transform: kind 4 with 2 parts" },
    { "forecast_without_parts", "c090909090a4",
      "c09091"
      "9205a09090a4",
      "transform: kind 5 with 2 parts" },
    { "forecast_of_no_periods", "c090909090a4",
      "c09091"
      "980590a0a0000500009090a4",
      "forecast: no periods, or no interval" },
    { "forecast_of_too_many_periods", "c090909090a4",
      "c09091"
      "980590a0a0cd2711050000"
      "9090a4",
      "periods: not an integer" },
    { "plugin_with_a_number", "c090909090a4",
      "c09091"
      "94030590909090a4",
      "plugin: not a text" },
    { "param_no_pair", "c090909090a4",
      "c0909091"
      "91a16190a4",
      "params: not a list" },
    { "param_a_list", "c090909090a4",
      "c09090"
      "9192a1619090a4",
      "params: not a value" },
    { "param_a_boolean", "c090909090a4",
      "c09090"
      "9192a161c290a4",
      "params: not a value" },
    { "param_over_int64", "c090909090a4",
      "c09090"
      "9192a161cf800000000000000090a4",
      "params: not a value" },
    { "table_no_list", "c090909090a4",
      "c0909090"
      "91c0a4",
      "table: not a list" },
    { "table_csv_as_text", "c090909090a4",
      "c0909090"
      "9193a16190a0a4",
      "table: no file" },
    { "sink_no_text", "a46e756c6c", "c0", "sink: not a text" },
    { "timeout_negative", "90000000", "90ff0000", "timeout: not an integer" },
    { "timeout_over_int64", "90000000", "90cf80000000000000000000",
      "timeout: not an integer" },
    { "timeout_of_a_century", "90000000", "90cf00000200000000010000",
      "timeout: not an integer" },
    { "memory_no_number", "90000000", "9000c000", "memory: not an integer" },
    { "files_no_list", "9000000090", "90000000c0", "files: not a list" },
    { "file_of_four", "9000000090", "900000009194c40161c4022f6109cd0100",
      "file: not a list" },
    { "file_with_a_folder_in_its_name", "9000000090",
      "900000009195c403612f62c4022f6109cd0100c420" ZERO16 ZERO16, "no name" },
    { "file_called_dot_dot", "9000000090",
      "900000009195c4022e2ec4022f6109cd0100c420" ZERO16 ZERO16, "no name" },
    { "file_without_a_name", "9000000090",
      "900000009195c400c4022f6109cd0100c420" ZERO16 ZERO16, "name of a file" },
    { "file_with_nul_in_its_path", "9000000090",
      "900000009195c40161c4022f0009cd0100c420" ZERO16 ZERO16, "path of a file" },
    { "file_that_all_may_write", "9000000090",
      "900000009195c40161c4022f6109cc92c420" ZERO16 ZERO16, "mode" },
    { "file_over_the_limit", "9000000090",
      "900000009195c40161c4022f61cf0000000100000001cd0100c420" ZERO16 ZERO16, "size" },
    { "file_with_half_a_digest", "9000000090",
      "900000009195c40161c4022f6109cd0100c410" ZERO16, "digest" },
    { "table_in_no_file", "90909090a46e756c6c9000000090",
      "9090909193a16190940000"
      "09c410" ZERO16 "a46e756c6c9000000090",
      "not in a file" },
    { "table_past_the_end_of_its_file", "90909090a46e756c6c9000000090",
      "9090909193a16190940001"
      "09c410" ZERO16 "a46e756c6c90000000" FILE_OF_9,
      "not in a file" },
    { "table_begins_past_the_end", "90909090a46e756c6c9000000090",
      "9090909193a1619094000a"
      "00c410" ZERO16 "a46e756c6c90000000" FILE_OF_9,
      "not in a file" },
    { "table_over_the_limit", "90909090a46e756c6c9000000090",
      "9090909193a1619094000a"
      "ce04000001c410" ZERO16 "a46e756c6c9000000090",
      "bytes of a table" },
    { "input_no_pair", "92a090", "91a0", "input: not a list" },
    { "reader_no_text", "92a090", "92c090", "reader: not a text" },
    { "fields_no_texts", "92a090", "92a09101", "fields: not a text" },
    { "query_no_text", "92a090", "93a09001", "query: not a text" },
    { "list_no_text", "92a090", "94a090a001", "list: not a text" },
    { "input_of_five", "92a090", "95a090a0a0a0", "input: not a list" },
    { "six_levels_deep", "c090909090a4",
      "c0909090"
      "9193a161919391c001c2c400a4",
      "nested" },
};

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1;)
        out[n++] = (uint8_t)byte;
    return n;
}

static void the_small_spec_is_what_hostile_ones_are_made_of(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    uint8_t want[64];
    size_t n = from_hex(SMALL, want);
    struct spec s = small_spec();
    PASS(&e, spec_encode(&s, &b, &e));
    EQ_I64(n, b.n);
    assert_memory_equal(want, b.p, n);
    buf_free(&b);
    spec_free(&s);
}

static void cannot_be_received(void **state)
{
    const struct hostile *t = *state;
    struct err e;
    char hex[512];
    uint8_t p[128];
    const char *at = strstr(SMALL, t->from);
    assert_non_null(at);
    snprintf(hex, sizeof hex, "%.*s%s%s", (int)(at - SMALL), SMALL, t->to,
             at + strlen(t->from));
    EXPECT(ERR_PROTO, &e, decode_copy(p, from_hex(hex, p), &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
}

// A list of 1001 and the like: the counts are refused, not only the bytes behind them.
static void more_than_a_job_may_have_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    uint8_t p[64];
    size_t n = from_hex("029c932c22c0", p); // up to the columns
    PASS(&e, buf_add(&b, p, n, &e));
    PASS(&e, buf_add(&b, "\xdc\x07\xd1", 3, &e)); // 2001
    for (int i = 0; i < 2001; i++)
        PASS(&e, buf_add(&b, "\xc0", 1, &e));
    n = from_hex("909090a46e756c6c900000009092a090", p);
    PASS(&e, buf_add(&b, p, n, &e));
    EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
    assert_non_null(strstr(e.text, "columns: not a list of 0 to 2000"));

    b.n = 0; // and more values than any spec has
    PASS(&e, buf_add(&b, "\x02\xdd\x00\x20\x00\x00", 6, &e));
    for (int i = 0; i < 0x200000; i++)
        PASS(&e, buf_add(&b, "\xc0", 1, &e));
    EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
    assert_non_null(strstr(e.text, "too many values"));
    buf_free(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(next_to_nothing_comes_back),
        cmocka_unit_test(types_that_sql_promises_come_back),
        cmocka_unit_test(sql_that_sums_up_comes_back),
        cmocka_unit_test(the_query_of_a_table_comes_back),
        cmocka_unit_test(no_null_strings_are_not_the_default_ones),
        cmocka_unit_test(a_quote_may_be_missing),
        cmocka_unit_test(as_many_columns_as_there_may_be_come_back),
        cmocka_unit_test(the_padding_behind_a_table_is_zero),
        cmocka_unit_test(a_schema_alone_comes_back),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(no_changed_byte_does_harm),
        cmocka_unit_test(the_small_spec_is_what_hostile_ones_are_made_of),
        cmocka_unit_test(more_than_a_job_may_have_is_refused),
    };
    struct CMUnitTest *rows = calloc(N_OF(unsendable) + N_OF(hostile), sizeof *rows);
    struct CMUnitTest *a = TABLE(unsendable, cannot_be_sent);
    struct CMUnitTest *b = TABLE(hostile, cannot_be_received);
    memcpy(rows, a, N_OF(unsendable) * sizeof *rows);
    memcpy(rows + N_OF(unsendable), b, N_OF(hostile) * sizeof *rows);
    free(a);
    free(b);
    return test_main("spec", tests, N_OF(tests), rows, N_OF(unsendable) + N_OF(hostile));
}

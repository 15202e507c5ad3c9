// step - one entry of `transform:`, as the job has it and as workers get it.

#ifndef COMMON_STEP_H
#define COMMON_STEP_H

#include "common/job_lists.h"
#include "common/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(NAME, wire number, key in job files)
#define STEP_KINDS(X)      \
    X(SQL, 1, "sql")       \
    X(EXEC, 2, "exec")     \
    X(PLUGIN, 3, "plugin") \
    X(HTTP, 4, "http")     \
    X(FORECAST, 5, "forecast")

enum step_kind {
    STEP_NONE,
#define X(id, num, key) STEP_##id = num,
    STEP_KINDS(X)
#undef X
};

enum step_format { STEP_CSV, STEP_JSONL };                   // wire numbers too
enum step_sandbox { STEP_BOXED, STEP_STRICT, STEP_UNBOXED }; // likewise

struct step_file { // an argument of a program: instead of it the program gets the file's
                   // path
    uint32_t argument, file; // numbers in argv and in the spec's files
};

struct step_place { // a file that stands beside a program
    uint32_t file;  // number in the spec's files
    char *path;     // below its folder: "lib/util.py"
};

enum { STEP_HTTP_MAX = 16 }; // http steps of a job

struct step_http { // what a request a row is made of, and what its answer becomes
    char *url;     // a url_template
    struct job_pairs headers; // as written: env_text
    char *rows;               // json_path; NULL: the answer as one text
    struct job_pairs fields;  // column -> member, of rows; none: each row whole
    bool fields_given;        // none, and that was said: nothing of the answer
    struct strings keep;      // columns of the input; unless ...
    bool keep_given;          // ... nothing was said: all
    char *next;               // json_path, or "link": the address of the next page
    uint32_t pages;           // at most, of a row
    uint32_t redirects;       // at most, of a request
    uint32_t retries;         // of a request
    uint32_t concurrency;     // requests at a time, all workers together
    int64_t gap_ns;           // from one request's begin to the next's, likewise; 0: none
    int64_t timeout_ms, connect_ms; // of one try
    uint64_t body_bytes;            // at most, of an answer
};

enum step_every { STEP_DAY, STEP_WEEK, STEP_MONTH };       // wire numbers too
enum step_holidays { STEP_HOLIDAYS_US, STEP_NO_HOLIDAYS }; // likewise
enum { STEP_PERIODS_MAX = 10000 };

struct step_forecast {     // what a series is, and how far it goes on
    struct strings by;     // columns that name a series
    char *ds, *y;          // columns of its dates and values
    uint32_t periods;      // ahead
    uint32_t permille;     // of the values that the interval is to cover
    enum step_every every; // a period
    enum step_holidays holidays;
};

struct step { // owns all of it; what its kind does not use is zero
    enum step_kind kind;
    int line, column; // where it stands in the job file, from 1; 0: a flag. Not sent.

    char *sql;    // SQL: the statement
    bool gathers; // it sums up rows of a batch; only in what a worker answers

    struct strings argv; // EXEC: program and arguments as written
    enum step_format format;
    bool persistent; // one process for many batches
    enum step_sandbox sandbox;
    // Over the default environment. In a job: as written, "$NAME" is a variable of the
    // caller's; in a spec: the values.
    struct job_pairs env;
    struct strings with; // files that go with the program: patterns as written. Not sent.
    char *dir;           // the folder it runs in, and where its paths stand
    struct step_file
        *files; // the arguments that are files of the job; PLUGIN: one, the library
    size_t n_files;
    struct step_place *places; // EXEC: of `with`, and of its arguments then
    size_t n_places;
    struct schema out; // its columns, once it was tried; empty: not yet. SQL: only
                       // before a plugin, whose columns have types
    char *said;        // what its sandbox is like on the host where it was tried

    char *path;         // PLUGIN: the library, resolved like the job's other paths
    char *path_written; // not sent
    struct job_pairs args;

    struct step_http http; // HTTP
    struct step_forecast forecast;
};

// A path that stays below the folder it begins in: no '/' in front, no "." and ".." and
// nothing empty between its slashes, each part a name that a file can have.
bool step_place_ok(const char *path);
MUST_CHECK err_t step_add_place(struct step *s, uint32_t file, const char *path,
                                struct err *e);

const char *step_kind_name(enum step_kind k); // "sql", ...; "?" for a stranger
MUST_CHECK err_t step_copy(struct step *to, const struct step *from, struct err *e);
void step_free(struct step *s);           // leaves a zeroed step
void step_http_init(struct step_http *h); // the defaults of docs/JOBFILE.md
MUST_CHECK err_t step_forecast_init(struct step_forecast *f, struct err *e); // likewise

// A list that grows by one; takes what the step owns and leaves *s zeroed on success.
MUST_CHECK err_t steps_add(struct step **v, size_t *n, struct step *s, struct err *e);
void steps_free(struct step **v, size_t *n); // leaves an empty list

#endif

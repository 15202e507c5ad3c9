// conf - reads a job: a job file, then flags, then the checks that need both.
//
//     struct conf c;
//     conf_init(&c, &job, &mistakes);
//     conf_file(&c, "job.yaml", &e);      // optional, at most once
//     conf_flag(&c, opt, value, &e);      // any number, after the file: flags win
//     conf_finish(&c, &e);
//
// Every mistake is one line: "job.yaml:7:3: limits.bad_rows: 'abc' is neither ...", or
// "--bad-rows: 'abc' is neither ...". Reading goes on after a mistake, so that independent
// ones are all said, up to CONF_MAX_MISTAKES.
//
// Relative paths of a job file stand in the job file's folder, those of flags in the
// current one. A flag replaces the file's value; --param, --lookup and --type replace one
// name's.

#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/job.h"
#include "common/opt.h"

enum { CONF_MAX_MISTAKES = 20 };

struct conf_place {
    bool given;       // there is a value, right or wrong
    int line, column; // in the job file; 0: a flag
};

struct conf { // borrows all it points to
    struct job *job;
    struct strings *mistakes;
    size_t n_mistakes; // also those past the limit
    const char *file;  // being read now; NULL: flags
    bool no_memory;
    struct step *step;                // being read now; NULL: none
    struct chart *chart;              // likewise
    struct conf_place where[OPT_MAX]; // of opt_table
};

// `job` is job_init-ed and freed by the caller in any case.
void conf_init(struct conf *c, struct job *job, struct strings *mistakes);

// ERR_IO (the file cannot be read), ERR_NOMEM; mistakes are reported by conf_finish only.
MUST_CHECK err_t conf_file(struct conf *c, const char *path, struct err *e);
// The same for the bytes of a file; `path` only names it and its folder.
MUST_CHECK err_t conf_text(struct conf *c, const char *path, const char *p, size_t n,
                           struct err *e);
// The same for a mapping that is a part of that file, such as a step of a pipeline.
MUST_CHECK err_t conf_tree(struct conf *c, const char *path, const struct value *map,
                           struct err *e);
MUST_CHECK err_t conf_flag(struct conf *c, const struct opt *o, const struct value *v,
                           struct err *e);
// All transforms that flags give: a list of mappings like those of a job file.
MUST_CHECK err_t conf_flag_steps(struct conf *c, const struct value *steps, struct err *e);
// Checks what belongs together and fills in what was not given: name, table, dir.
// ERR_INVALID: there were mistakes; e has the first line, c->mistakes all of them.
MUST_CHECK err_t conf_finish(struct conf *c, struct err *e);

// All of it for a job file without flags. `mistakes` may be NULL. The job is freed by the
// caller in any case.
MUST_CHECK err_t job_from_file(struct job *j, const char *path, struct strings *mistakes,
                               struct err *e);

// At most VALUE_MAX_BYTES + 1 bytes: enough to see that a file is too large.
MUST_CHECK err_t conf_read_file(const char *path, struct buf *out, struct err *e);
// From now on this process reads these bytes where the file `path`, spelled like that, is
// to be read: a job that waited in a queue is the one that was put there. Both are borrowed
// until the next call; NULL: no file is stood in for.
void conf_stand_in(const char *path, const void *p, size_t n);
// What a job is called whose file or first source this is; malloced, NULL: nothing is left.
void conf_derive_name(struct conf *c, const char *path, char **name);
char *conf_folder(const char *path); // malloced; "." when it names none

// ---- for the setters of opt_set_*.c and the checks of conf_check.c ----

// "KEY: sentence" or "--FLAG: sentence" at the place of v: of its key when it is a member
// of a mapping.
void conf_wrong(struct conf *c, const struct opt *o, const struct value *v, const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));
// The same at the place where `key` was given.
void conf_wrong_key(struct conf *c, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// A sentence about the job as a whole.
void conf_wrong_job(struct conf *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// At a value that stands where no option is: sections, unknown keys, the document.
void conf_wrong_at(struct conf *c, const struct value *v, const char *key, const char *fmt,
                   ...) __attribute__((format(printf, 4, 5)));
// {sql: SELECT a, b FROM t} has a key "b FROM t".
bool conf_cut_by_comma(const struct value *m);
#define CONF_CUT_BY_COMMA "the comma before it ended a text: put that in quotes"
bool conf_given(const struct conf *c, const char *key);
// True: go on. False: memory ran out, which is remembered.
bool conf_ok(struct conf *c, err_t rc);
void conf_check(struct conf *c);           // what conf_finish does
void conf_check_aggregate(struct conf *c); // its part about aggregate and merge
void conf_check_load(struct conf *c);      // of it, what is about load.*
// The members of a mapping, whose keys begin with `prefix` ("limits.") in the table.
void conf_walk(struct conf *c, const char *prefix, const struct value *map);
void conf_steps(struct conf *c, const struct value *v); // what stands below `transform:`

// A malloced path: `path` as seen from the folder of what is being read.
char *conf_resolve(const struct conf *c, const char *path);

#endif

// opt - the one table of everything a person can say: keys of the job file and flags.
//
// Reading job files, reading flags, `--help`, docs/JOBFILE.md and "did you mean" all come
// from it.

#ifndef COMMON_OPT_H
#define COMMON_OPT_H

#include "common/buf.h"
#include "common/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;

enum opt_section {
    OPT_JOB,
    OPT_SOURCE,
    OPT_BATCH,
    OPT_TRANSFORM,
    OPT_LOAD,
    OPT_LOOKUP,
    OPT_CHARTS,
    OPT_LIMITS,
    OPT_WORKERS,
    OPT_THIS_RUN, // flags only
    OPT_N_SECTIONS,
};

enum opt_form {   // what the occurrences of a flag make together
    OPT_SWITCH,   // no argument
    OPT_ONE,      // the last one counts
    OPT_LIST,     // a list in the order given
    OPT_MAP,      // NAME=VALUE, cut at the first '='
    OPT_MAP_LAST, // NAME=VALUE, cut at the last '='
};

enum opt_command { OPT_RUN = 1, OPT_CHECK = 2, OPT_RUNS = 4, OPT_PLAN = 8 };

struct opt {
    const char *key;  // "limits.bad_rows"; NULL: a flag only
    const char *flag; // "bad-rows"; NULL: for the job file only
    char letter;      // 'j'; 0: none
    enum opt_section section;
    enum opt_form form;
    unsigned commands;   // of enum opt_command
    const char *metavar; // of the flag; NULL: a switch
    const char *takes;   // what the job file takes, for the reference
    const char *initial; // what holds when nothing is said; NULL: nothing
    const char *help;    // one or two sentences without a full stop at the end
    const char *one_of;  // keys with the same text exclude each other

    // Reading: `set` puts a value into the job, or says what is wrong with it (conf_wrong).
    void (*set)(struct conf *c, const struct opt *o, const struct value *v);
    size_t at;                  // offset of the member in struct job or step
    uint64_t min, max;          // of numbers, sizes and durations (ms)
    const char *const *choices; // NULL-terminated, in the order of the enum
};

enum { OPT_MAX = 128 };
extern const struct opt opt_table[];
extern const size_t opt_n; // at most OPT_MAX

const struct opt *opt_by_key(const char *key);   // NULL: none
const struct opt *opt_by_flag(const char *flag); // without the dashes
bool opt_is_section(const char *key);            // other keys stand below it

// The title of a section in help and reference.
const char *opt_section_title(enum opt_section s);

// Writes "; did you mean 'x'?" for a word that is no key below `prefix` ("" or "limits."),
// or no flag; "" when nothing is near.
void opt_suggest_key(const char *prefix, const char *word, char *out, size_t size);
void opt_suggest_flag(const char *word, char *out, size_t size);

#endif

// job - what the user asked for, after the job file and the flags are read. Pure data;
// common/conf reads it, common/opt describes every key.

#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include "common/clock.h"
#include "common/err.h"
#include "common/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strings { // owns its strings
    char **v;
    size_t n;
};

struct job_pair { // name -> text: params (SQL), tables (path), types (type name)
    char *name;
    char *value;
};
struct job_pairs {
    struct job_pair *v;
    size_t n;
};

enum job_source { SOURCE_NONE, SOURCE_CSV };
enum job_header { HEADER_TRUE, HEADER_FALSE, HEADER_NAMES };
enum job_mode { MODE_APPEND, MODE_REPLACE };
enum job_transform { TRANSFORM_SQL };
enum job_output { OUTPUT_HUMAN, OUTPUT_JSON, OUTPUT_QUIET };
enum job_progress { PROGRESS_AUTO, PROGRESS_JSON, PROGRESS_NONE };

struct job_step { // one entry of `transform:`
    enum job_transform kind;
    char *sql;
    int line, column; // of the SQL in the job file, 0: from a flag
};

struct job {
    char *file; // NULL: flags only
    char *dir;  // folder that relative paths of the job file stand in; "." for flags
    char *name;

    enum job_source source;
    struct strings csv;  // globs and paths, as written; "-" is stdin
    struct strings csv_paths; // the same, resolved against dir (those of flags against cwd)
    uint8_t delimiter, quote;
    enum job_header header;
    struct strings header_names;
    struct job_pairs types;
    struct strings nulls;
    bool nulls_given;

    uint64_t batch_bytes; // 0: auto
    struct job_step *steps;
    size_t n_steps;

    char *into; // "sqlite:warehouse.db", "null:"; path resolved like csv_paths
    char *table;
    enum job_mode mode;
    bool ordered;

    struct job_pairs params; // name -> SQL on the warehouse
    struct job_pairs tables; // name -> resolved path of a CSV file

    uint64_t bad_rows;      // limit as a count ...
    double bad_rows_share;  // ... or, when >= 0, as a share of the rows read
    uint32_t retries;
    int64_t timeout_ms;
    uint64_t memory_bytes, worker_memory_bytes;
    uint32_t workers_local; // 0 = the cores

    bool fresh; // --fresh
    enum job_output output;
    enum job_progress progress;
};

void job_init(struct job *j); // every default of PRODUCT.md 2
void job_free(struct job *j);

#endif

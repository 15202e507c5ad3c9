// job - what the user asked for, after the job file and the flags are read. Pure data;
// common/opt describes every key, common/conf reads job files, coordinator/cli reads flags.

#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include "common/buf.h"
#include "common/chart.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/job_lists.h"
#include "common/step.h"
#include "common/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum job_source {
    SOURCE_NONE,
    SOURCE_CSV,
    SOURCE_LINES,
    SOURCE_JSONL,
    SOURCE_RANGE,
    SOURCE_SQLITE,
    SOURCE_POSTGRES,
};
enum job_header { HEADER_TRUE, HEADER_FALSE, HEADER_NAMES };
enum job_mode { MODE_APPEND, MODE_REPLACE, MODE_UPSERT, MODE_INCREMENTAL };
enum job_place { JOB_ALONE, JOB_STEP, JOB_STEP_BESIDE /* others, at the same time */ };
enum job_output { OUTPUT_HUMAN, OUTPUT_JSON, OUTPUT_QUIET };
enum job_progress { PROGRESS_AUTO, PROGRESS_JSON, PROGRESS_NONE };

// A run of a part of the input, which tells what a run of all of it will be like
// (`tranche plan`).
struct job_trial {
    const struct schema
        *types; // of the columns as all of the input has them; NULL: inferred
    // Called for each result before it is loaded, with the list of its rejects (rejects.h).
    void (*on_result)(void *arg, size_t image_bytes, const void *rejects,
                      size_t rejects_bytes);
    void *arg;
};

struct job {
    char *file; // NULL: flags only
    char *dir;  // folder of the job file, in which its relative paths stand; "." for flags
    char *name; // never NULL in a job that was read without mistakes, like into and table

    enum job_source source;
    struct strings files; // csv, lines, jsonl: globs and paths, as written; "-" is stdin
    struct strings
        file_paths;        // the same, resolved against dir (those of flags against cwd)
    uint64_t range_rows;   // range: the rows 0 to range_rows - 1
    struct strings fields; // jsonl: members of the objects; none: the whole line
    char *list;   // jsonl: the name of a list whose elements are rows; NULL: lines are
    char *sqlite; // path, resolved like file_paths
    char *sqlite_written;
    char *postgres;        // as written: may hold a password, and is never shown ...
    char *postgres_public; // ... but this (pg_public_name)
    char *query;           // sqlite, postgres: a SELECT ...
    char *sqlite_table;    // ... or a whole table
    char *postgres_table;
    uint8_t delimiter, quote;
    bool delimiter_given, nulls_given;
    enum job_header header;
    struct strings header_names;
    struct job_pairs types;
    struct strings nulls;

    uint64_t batch_bytes; // 0: auto
    uint64_t batch_rows;  // 0: batches are cut by bytes
    char *batch_by;       // column whose groups stay in one batch; NULL: none
    struct step *steps;   // of `transform:`, in order
    size_t n_steps;

    struct job_items agg_by;      // columns
    struct job_items agg_compute; // name -> expression, in the order of the columns
    char *merge_sql;              // NULL: none
    int merge_line, merge_column; // where it begins, as in struct job_step

    char *into; // "sqlite:warehouse.db", "null:"; path resolved like file_paths
    char *into_written;
    char *
        into_secret; // postgres: as it is connected to, a password maybe in it; never shown
    char *table;
    enum job_mode mode;
    bool ordered;
    struct strings key;      // MODE_UPSERT: the columns that say which row is replaced
    char *watermark;         // MODE_INCREMENTAL: the column that grows; else NULL
    struct strings *indexes; // built after the load: the columns of each
    size_t n_indexes;
    struct charts charts; // of a step also those of its pipeline

    struct job_pairs params;         // name -> SQL on the warehouse
    struct job_pairs tables;         // name -> resolved path of a CSV file
    struct job_pairs tables_written; // the same names -> path as written

    uint64_t bad_rows;     // limit as a count ...
    double bad_rows_share; // ... or, when >= 0, as a share of the rows read
    uint32_t retries;
    int64_t timeout_ms;
    uint64_t memory_bytes, worker_memory_bytes;
    uint32_t workers_local;       // 0 = the cores, unless ...
    bool workers_remote;          // ... only those of other hosts are wanted (-j 0)
    uint32_t workers_concurrency; // batches at a time in each
    uint32_t workers_min;         // 0: start as soon as one is there
    int64_t workers_wait_ms;
    struct strings labels; // that a worker must offer
    char *listen;          // "tcp://0.0.0.0:5555"; NULL: only this machine
    bool insecure;         // --insecure

    bool closely; // plan: values are looked at for people, too (source_extents)
    const struct job_trial *trial; // NULL: a run; borrowed
    uint64_t cache_bytes;          // of results that are kept for later runs; 0: none are
    enum job_place place;          // of a pipeline, or not
    bool stdout_taken;             // by the rows of another step
    bool scheduled;                // --scheduled
    bool served;                   // a server runs it: its workers wait for the next job
    int64_t served_job;            // number of the job in its queue; 0: none
    bool fresh;                    // --fresh
    bool force;                    // plan: `write` even if it is there
    struct strings needs;          // names of the steps that come before it
    char *schedule;                // as written, and good for cron_parse; NULL: none
    char *from;                    // --from; NULL: all steps
    char *state;                   // --state of `tranche runs`; NULL: beside the job
    char *write;                   // plan: the job file to write; NULL: none
    enum job_output output;
    enum job_progress progress;
};

void job_init(struct job *j); // every default of docs/JOBFILE.md; nothing given yet
void job_free(struct job *j); // copes with a job that was read half

bool job_into_text(const struct job *j); // csv:, jsonl:, stdout:

static inline bool job_aggregates(const struct job *j)
{
    return j->agg_by.n || j->agg_compute.n;
}

// Appends a text of everything that affects the loaded rows: sources as written, dialect,
// header, types, nulls, transforms, params, tables, destination, table, mode, key and
// watermark; not indexes, limits, workers, batch size or what is shown. Equal texts mean
// equal jobs: its hash is the load's identity, so its format is part of the ledger's
// format. Files that the job names are in it by path, not by content.
MUST_CHECK err_t job_canonical(const struct job *j, struct buf *out, struct err *e);

#endif

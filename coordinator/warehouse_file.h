// warehouse_file - rows as text files (prefix wf_): csv:out.csv, jsonl:out.jsonl,
// csv:out/part-*.csv. Workers send text, the coordinator writes it where the last committed
// byte is.
//
// The ledger is a SQLite database beside the output (out.csv.ledger) with the tables of
// every warehouse and one more, tranche_output, that says how many bytes of each file are
// committed. Text is on the disk before the transaction that counts it commits; what stands
// behind the counted bytes after a crash is cut off.
//
//   state of an output file, in tranche_output
//     open   bytes may be added. A part has `.tranche` behind its name on the disk
//     full   a part that takes no more: to be renamed
//     done   a whole part, under its own name
//     trash  to be deleted
//     cut    open, but more stands in it than is counted: that is to be cut off

#ifndef COORDINATOR_WAREHOUSE_FILE_H
#define COORDINATOR_WAREHOUSE_FILE_H

#include "coordinator/warehouse_sqlite.h"
#include "coordinator/warehouse_text.h"

#include <sys/stat.h>

struct wf {
    const char *format; // "csv", "jsonl"
    char *shown;        // as the user wrote it
    char *dir;          // absolute
    char *base;         // the file's name; of parts with one '*'
    bool parts;
    uint64_t part_bytes; // a part with as many takes no more
    struct buf header;   // of every new file; empty for jsonl
    int fd;              // of `current`; -1: none is open
    char *current;       // the file that rows go to, as tranche_output names it; or NULL
    uint64_t at;         // where its next byte goes
    bool swapped;        // the new file has taken the old one's name already
};

void wf_free(struct wf **f);
MUST_CHECK err_t wf_names(struct warehouse *w, struct err *e); // w->table, w->place
extern const struct wsq_store wf_store;                        // warehouse_file_store.c
// ERR_INVALID: the output is one of the inputs.
MUST_CHECK err_t wf_not_an_input(struct warehouse *w, struct err *e);
// After begin()'s transaction: deletes and cuts what is left of dropped loads, and the
// target to its committed bytes.
MUST_CHECK err_t wf_settle(struct warehouse *w, bool cuts_target, struct err *e);

// Opens csv: or jsonl: with this store.
MUST_CHECK err_t wf_open(struct warehouse **out, const char *format, const char *url,
                         const struct wsq_store *store, warehouse_say *say, void *say_arg,
                         struct err *e);

// `query_value` of text: ERR_INVALID.
MUST_CHECK err_t wf_no_values(struct warehouse *w, const char *sql, struct arena *mem,
                              struct cell *value, struct err *e);
extern const struct warehouse_ops warehouse_csv_merged, warehouse_jsonl_merged;

// ---- what a merge gives as text (warehouse_stage_text.c)

// Called from one thread at a time, which need not be that of wf_rows_text.
typedef err_t wf_put(struct warehouse *w, const uint8_t *p, size_t n, struct err *e);
// All rows that wsq_merge_step gets of it, or wsq_runs_merge without it, as
// w->files->format with the columns of w->schema, without a header; in bounded memory.
MUST_CHECK err_t wf_rows_text(struct warehouse *w, sqlite3_stmt *rows, wf_put *put,
                              struct err *e);

// ---- on the disk (warehouse_file_disk.c)

// The absolute path of a file of the output; malloced, NULL: no memory.
char *wf_path(const struct wf *f, const char *name, bool unfinished_part);
// *there = false: there is no such file. ERR_INVALID: it is no regular file.
MUST_CHECK err_t wf_stat(const struct wf *f, const char *path, struct stat *st, bool *there,
                         struct err *e);
// A new file in the place of whatever stands there; -1: errno says why not.
int wf_new(const char *path);
// A file with the header in it, on the disk for good. `visible`: it gets its name when it
// is whole.
MUST_CHECK err_t wf_create(const struct wf *f, const char *path, bool visible,
                           uint64_t *ino, struct err *e);
MUST_CHECK err_t wf_open_at(struct wf *f, const char *path, uint64_t bytes, struct err *e);
MUST_CHECK err_t wf_still_there(const struct wf *f, struct err *e); // `current`, as opened
void wf_close_fd(struct wf *f);
MUST_CHECK err_t wf_write(struct wf *f, const uint8_t *p, size_t n, struct err *e);
// The same, and the disk begins with it: for what is synced only at the end.
MUST_CHECK err_t wf_write_on(struct wf *f, const uint8_t *p, size_t n, struct err *e);
MUST_CHECK err_t wf_sync(struct wf *f, struct err *e);
MUST_CHECK err_t wf_cut(struct wf *f, uint64_t bytes, struct err *e); // and on the disk
MUST_CHECK err_t wf_sync_folder(const struct wf *f, struct err *e);
// For good. `new_name`: nothing may have it yet.
MUST_CHECK err_t wf_rename(const struct wf *f, const char *from, const char *to,
                           bool new_name, struct err *e);
// A file that is there already must end its last line, and have the schema's columns.
MUST_CHECK err_t wf_check_there(const struct wf *f, const char *path, uint64_t size,
                                const struct schema *s, struct err *e);

// ---- rejects as a file (warehouse_file_rejects.c)

// Writes OUT.rejects anew, with all that the ledger has; removes it when there are none.
MUST_CHECK err_t wf_rejects_export(struct warehouse *w, struct err *e);

#endif

// xf_exec - what the parts of the exec transform share.
//
//   xf_exec         opens the step and runs batches through the program
//   xf_exec_env     its arguments and environment
//   xf_exec_files   the files beside it
//   xf_exec_answer  what the program wrote, into frames, columns and rows
//   xf_exec_jsonl   the same of JSON lines

#ifndef WORKER_XF_EXEC_H
#define WORKER_XF_EXEC_H

#include "common/csv_read.h"
#include "common/csv_write.h"
#include "common/jsonl_write.h"
#include "common/scratch.h"
#include "worker/cache.h"
#include "worker/child.h"
#include "worker/reader.h"
#include "worker/transform.h"

struct xf_exec {
    struct step step; // as the spec has it
    struct schema in, out;
    struct strings argv, env;
    char **argv_list, **env_list; // the same for exec(2)
    struct scratch scratch;
    char beside[CACHE_PATH]; // the folder in which its files stand; "": the job's own
    struct sandbox sandbox;
    bool has_sandbox;
    bool sample; // it is only tried, to learn its columns
    struct csv_writer *csv;
    struct jsonl_writer *jsonl;
    struct csv_reader *reader; // of `out`
    void *json_reader;         // likewise, for JSON lines
    struct child child;
    struct buf input,
        answer; // answer: CSV_PAD bytes, what the program wrote, CSV_PAD bytes
    uint64_t memory_bytes;
    size_t max_bytes;             // of an answer
    ns_t learn_time, learn_until; // of one try; of all
};

// A program that keeps running: before each batch, both ways, a line "tranche-batch BYTES
// ROWS". The answer may be "tranche-error BYTES" and a text instead.
struct xf_exec_frame {
    bool error;
    size_t head, bytes; // of the line, and of what follows it
    uint64_t rows;
};
enum xf_exec_framing { FRAMING_PART, FRAMING_WHOLE, FRAMING_BAD };
// Looks at the first n bytes of an answer.
enum xf_exec_framing xf_exec_frame(const uint8_t *p, size_t n, struct xf_exec_frame *f);

// Lays the step's files out where they were not used in place: x->beside.
MUST_CHECK err_t xf_exec_lay_out(struct xf_exec *x, const struct spec *spec, struct err *e);
void xf_exec_clear_out(struct xf_exec *x);

// argv and env for the step. ERR_INVALID: a param that no environment can hold.
MUST_CHECK err_t xf_exec_arguments(struct xf_exec *x, const struct spec *spec,
                                   struct err *e);

// The columns of an answer: its first line, and types that the values suggest.
// ERR_TRANSFORM: it is not what a program may write, and why.
MUST_CHECK err_t xf_exec_columns(enum step_format format, const uint8_t *p, size_t n,
                                 struct schema *out, struct err *e);
// An answer as rows of x->out, which point into it; CSV_PAD bytes around p are readable.
MUST_CHECK err_t xf_exec_rows(struct xf_exec *x, const uint8_t *p, size_t n,
                              struct batch *out, struct err *e);

MUST_CHECK err_t xf_exec_json_columns(const uint8_t *p, size_t n, struct schema *out,
                                      struct err *e);
MUST_CHECK err_t xf_exec_json_open(struct xf_exec *x, struct err *e);
MUST_CHECK err_t xf_exec_json_rows(struct xf_exec *x, const uint8_t *p, size_t n,
                                   struct batch *out, struct rejects *rejects,
                                   struct err *e);

#define XF_EXEC_LEARN_TIME (60 * NS_S) // that xf_exec_learn takes at most
// Runs the program on (parts of) a sample to learn what columns it gives: for a step whose
// `out` is not known. Fills step->out and step->said. ERR_TRANSFORM, ERR_INVALID: why it is
// not known; ERR_TIMEOUT.
MUST_CHECK err_t xf_exec_learn(const struct spec *spec, struct step *step,
                               const struct schema *in, const struct batch *sample,
                               struct err *e);

#endif

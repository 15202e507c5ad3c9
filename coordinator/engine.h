// engine - the commands of ssh, Slurm and docker-compose: put together word by word, shown
// as a shell would take them, run without one.

#ifndef COORDINATOR_ENGINE_H
#define COORDINATOR_ENGINE_H

#include "common/buf.h"
#include "common/clock.h"
#include "common/job_lists.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { ENGINE_SAID = 600, ENGINE_OUT_MAX = 16 << 20 };

// ---- words ----

MUST_CHECK err_t engine_add(struct strings *command, struct err *e, const char *word, ...)
    __attribute__((sentinel)); // words up to a NULL
MUST_CHECK err_t engine_addf(struct strings *command, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); // one word
MUST_CHECK err_t engine_add_all(struct strings *command, char *const *words, size_t n,
                                struct err *e);

// As a POSIX shell reads it back: plain words stay, others stand between single quotes.
MUST_CHECK err_t engine_quote(struct buf *out, const char *word, struct err *e);
MUST_CHECK err_t engine_text(struct buf *out, const struct strings *command, struct err *e);
// The line on `to`, with a line end.
MUST_CHECK err_t engine_show(const struct strings *command, FILE *to, struct err *e);

// ---- running ----

// A process in a session of its own, out of reach of the terminal. ERR_IO: it cannot be
// started, and the sentence says why.
struct engine_child {
    pid_t pid;  // 0: none
    int input;  // its standard input, a pipe that ends with us; -1: it has none
    int out;    // a file with its standard output; -1: it goes nowhere
    int errors; // a file with its standard error
};
enum engine_keep {
    ENGINE_OUT = 1,  // its standard output
    ENGINE_INPUT = 2 // a pipe to its standard input
};
MUST_CHECK err_t engine_start(const struct strings *command, unsigned keep,
                              struct engine_child *out, struct err *e);
// True: it has ended; *code is its exit code, or 128 and its signal. The files stay open.
bool engine_ended(struct engine_child *c, int *code);
bool engine_wait(struct engine_child *c, ns_t at_most, int *code); // likewise
void engine_signal(const struct engine_child *c, int signo);
// Its last words on standard error: some lines, with "; " between, without control
// characters. "" when it said nothing.
void engine_said(const struct engine_child *c, char out[ENGINE_SAID]);
void engine_last_lines(int fd, char out[ENGINE_SAID]); // of any file
void engine_forget(struct engine_child *c); // closes its files; kills it when it still runs

// Runs it to its end, two minutes at most. `out`, the caller's to free, is its standard
// output (NULL: nobody wants it). ERR_IO: it cannot be started, took too long, or its exit
// code was not 0: the sentence has its last words.
MUST_CHECK err_t engine_call(const struct strings *command, struct buf *out, struct err *e);
// The same, with a text on its standard input: all of it, or the command is not started.
MUST_CHECK err_t engine_give(const struct strings *command, struct slice input,
                             struct err *e);

#endif

// said_kit - what a command of ours says on standard output and standard error, and its
// exit code, while its calls may fail (failing_calls.h): those of the kit do not count.

#ifndef TESTS_SAID_KIT_H
#define TESTS_SAID_KIT_H

#include "tests/failing_calls.h"
#include "tests/source_kit.h"

struct said {
    int code;
    char out[20000], err[2000];
};

typedef int said_fn(const void *arg); // gives the exit code

static inline int said_turn(int fd, const char *to)
{
    int was = dup(fd), fresh = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(was >= 0 && fresh >= 0);
    assert_int_equal(fd, dup2(fresh, fd));
    close(fresh);
    return was;
}

static inline void said_turn_back(int fd, int was)
{
    assert_int_equal(fd, dup2(was, fd));
    close(was);
}

static inline void said_read(const struct folder *f, const char *name, char *to,
                             size_t size)
{
    char path[PATH_SPACE];
    FILE *in = fopen(in_folder(f, name, path), "r");
    assert_non_null(in);
    to[fread(to, 1, size - 1, in)] = 0;
    fclose(in);
}

// What it says stands in files of the folder for as long. `out` NULL: its standard output
// is a full disk.
static inline void said_run(const struct folder *f, const char *out, said_fn *fn,
                            const void *arg, struct said *s)
{
    char at[PATH_SPACE];
    long left = failing.left, memory = no_memory_left;
    failing.left = no_memory_left = -1;
    fflush(NULL);
    int was_out = said_turn(STDOUT_FILENO, out ? in_folder(f, out, at) : "/dev/full");
    int was_err = said_turn(STDERR_FILENO, in_folder(f, "err", at));
    failing.left = left;
    no_memory_left = memory;
    s->code = fn(arg);
    left = failing.left;
    memory = no_memory_left;
    failing.left = no_memory_left = -1;
    fflush(NULL);
    clearerr(stdout);
    said_turn_back(STDOUT_FILENO, was_out);
    said_turn_back(STDERR_FILENO, was_err);
    said_read(f, "err", s->err, sizeof s->err);
    s->out[0] = 0;
    if (out) said_read(f, out, s->out, sizeof s->out);
    failing.left = left;
    no_memory_left = memory;
}

#endif

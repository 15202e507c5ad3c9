// warehouse_text - for tests of warehouses that write text: what stands in files.

#ifndef TESTS_WAREHOUSE_TEXT_H
#define TESTS_WAREHOUSE_TEXT_H

#include "coordinator/warehouse_file.h"
#include "tests/warehouse_job.h"

#include <signal.h>
#include <sys/wait.h>

static inline void text_kit(struct kit *k, const char *format, const char *name)
{
    kit_init(k, format);
    snprintf(k->path, sizeof k->path, "%s/%s", k->dir, name);
    snprintf(k->url, sizeof k->url, "%s:%s", format, k->path);
}

static inline void says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' lacks '%s'", text, part);
}

// ---- what stands in files

__attribute__((noinline, unused)) static const char *whole(const struct kit *k,
                                                           const char *name)
{
    static char text[1 << 17];
    char path[256];
    snprintf(path, sizeof path, "%s/%s", k->dir, name);
    FILE *f = fopen(path, "r");
    if (!f) return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

__attribute__((noinline, unused)) static void put(const struct kit *k, const char *name,
                                                  const char *how, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", k->dir, name);
    FILE *f = fopen(path, how);
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void is(const struct kit *k, const char *name, const char *want)
{
    const char *got = whole(k, name);
    if (!got || !want ? got != want : strcmp(got, want) != 0)
        fail_msg("%s is\n%s\nnot\n%s", name, got ? got : "(nothing)", want ? want : "");
}

// Lines that are rows of the job, each once, whatever their order; header lines counted.
static inline void count_rows(const char *text, unsigned seen[N_CHUNKS * CHUNK / 10 + 1],
                              unsigned *headers)
{
    char again[64], line[64];
    while (*text) {
        size_t n = strcspn(text, "\n");
        int a;
        assert_true(text[n] == '\n' && n < sizeof line);
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        text += n + 1;
        if (strcmp(line, "a,b") == 0) {
            ++*headers;
            continue;
        }
        if (sscanf(line, line[0] == '{' ? "{\"a\":%d" : "%d", &a) != 1)
            fail_msg("no row: %s", line);
        snprintf(again, sizeof again,
                 line[0] == '{' ? "{\"a\":%d,\"b\":\"r%d\"}" : "%d,r%d", a, a);
        assert_string_equal(again, line);
        assert_true(a >= 1 && a <= N_CHUNKS * CHUNK / 10);
        seen[a]++;
    }
}

static inline void text_die_at(struct kit *k, const char *point)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e;
        setenv("TRANCHE_CRASH_AT", point, 1);
        err_t rc = k->ops->open(&k->w, k->url, kit_say, k, &e);
        if (rc == ERR_OK) k->w->files->part_bytes = 100;
        if (rc == ERR_OK) rc = run_job(k, 0, &e);
        _exit(rc == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("did not die at %s: status %x", point, (unsigned)status);
}

#endif

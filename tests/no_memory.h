// no_memory - every allocation of our code fails once, one after the other.
//
// A test program that includes this has malloc and its kind wrapped (tests/CMakeLists.txt
// looks for the lines with __real_). Only calls of our own code count, not those of
// libraries, and those of other threads neither.

#ifndef TESTS_NO_MEMORY_H
#define TESTS_NO_MEMORY_H

#include "common/err.h"
#include "tests/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_asprintf(char **to, const char *fmt, ...);
int __real___asprintf_chk(char **to, int flag, const char *fmt, ...);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **to, const char *fmt, ...);
int __wrap___asprintf_chk(char **to, int flag, const char *fmt, ...);

static _Thread_local long no_memory_left = -1; // allocations until one fails; -1: none does

static inline bool no_memory_now(void)
{
    return no_memory_left >= 0 && no_memory_left-- == 0;
}

void *__wrap_malloc(size_t n)
{
    return no_memory_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return no_memory_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return no_memory_now() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return no_memory_now() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
    return no_memory_now() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return no_memory_now() ? NULL : __real_strndup(s, n);
}

int __wrap_asprintf(char **to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = no_memory_now() ? -1 : vasprintf(to, fmt, ap);
    va_end(ap);
    return n;
}

int __wrap___asprintf_chk(char **to, int flag, const char *fmt, ...) // of _FORTIFY_SOURCE
{
    va_list ap;
    (void)flag;
    va_start(ap, fmt);
    int n = no_memory_now() ? -1 : vasprintf(to, fmt, ap);
    va_end(ap);
    return n;
}

// One try. It checks what it made when it says ERR_OK, and keeps nothing in any case.
typedef err_t no_memory_fn(void *arg, struct err *e);

// Tries with the first allocation failing, the second ..., until none is left to fail;
// returns how many there were. What does not succeed says ERR_NOMEM with a sentence.
static inline long no_memory_sweep(no_memory_fn *try, void *arg)
{
    for (long at = 0;; at++) {
        struct err e = { 0 };
        no_memory_left = at;
        err_t rc = try(arg, &e);
        bool reached = no_memory_left < 0;
        no_memory_left = -1;
        if (!reached) PASS(&e, rc);
        if (!reached) return at;
        if (rc != ERR_OK && rc != ERR_NOMEM)
            fail_msg("allocation %ld: %s (%s)", at, err_name(rc), e.text);
        if (rc != ERR_OK) assert_true(*e.text);
    }
}

#endif

// source_kit - folders, files and jobs for the tests of sources.

#ifndef TESTS_SOURCE_KIT_H
#define TESTS_SOURCE_KIT_H

#include "common/job.h"
#include "coordinator/source.h"
#include "tests/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

struct folder {
    char path[64];
};

static inline struct folder folder_new(void)
{
    struct folder f = { "/tmp/tranche-test-XXXXXX" };
    assert_non_null(mkdtemp(f.path));
    return f;
}

static inline int folder_rm_one(const char *path, const struct stat *st, int kind,
                                struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline void folder_rm(struct folder *f)
{
    nftw(f->path, folder_rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

enum { PATH_SPACE = 256 };
static inline const char *in_folder(const struct folder *f, const char *name,
                                    char to[PATH_SPACE])
{
    snprintf(to, PATH_SPACE, "%s/%s", f->path, name);
    return to;
}

static inline void put_bytes(const char *path, const void *p, size_t n, const char *mode)
{
    FILE *out = fopen(path, mode);
    assert_non_null(out);
    assert_int_equal(fwrite(p, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static inline void put_file(const struct folder *f, const char *name, const void *p,
                            size_t n)
{
    char path[PATH_SPACE];
    put_bytes(in_folder(f, name, path), p, n, "wb");
}

static inline void put_text(const struct folder *f, const char *name, const char *text)
{
    put_file(f, name, text, strlen(text));
}

// In `members` gzip members of about the same size.
static inline void put_gz(const struct folder *f, const char *name, const void *p, size_t n,
                          size_t members)
{
    char path[PATH_SPACE];
    in_folder(f, name, path);
    unlink(path);
    for (size_t i = 0; i < members; i++) {
        size_t from = n * i / members, to = n * (i + 1) / members;
        gzFile z = gzopen(path, "ab1");
        assert_non_null(z);
        if (to > from)
            assert_int_equal(gzwrite(z, (const char *)p + from, (unsigned)(to - from)),
                             to - from);
        assert_int_equal(gzclose(z), Z_OK);
    }
}

static inline void put_zst(const struct folder *f, const char *name, const void *p,
                           size_t n, size_t frames)
{
    char path[PATH_SPACE];
    in_folder(f, name, path);
    unlink(path);
    for (size_t i = 0; i < frames; i++) {
        size_t from = n * i / frames, to = n * (i + 1) / frames;
        size_t cap = ZSTD_compressBound(to - from);
        void *z = malloc(cap);
        size_t len = ZSTD_compress(z, cap, (const char *)p + from, to - from, 1);
        assert_false(ZSTD_isError(len));
        put_bytes(path, z, len, "ab");
        free(z);
    }
}

// A job that reads these, space between them; relative to the folder. "-" stays.
static inline struct job job_of(const struct folder *f, const char *list)
{
    struct job j;
    struct err e;
    char path[PATH_SPACE], *save, *words = strdup(list);
    job_init(&j);
    j.source = SOURCE_CSV;
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        PASS(&e, strings_add(&j.files, w, strlen(w), &e));
        if (strcmp(w, "-") != 0 && w[0] != '/')
            in_folder(f, w, path);
        else
            snprintf(path, sizeof path, "%s", w);
        PASS(&e, strings_add(&j.file_paths, path, strlen(path), &e));
    }
    free(words);
    return j;
}

// Makes the file the standard input; stdin_back() undoes it.
static inline int stdin_from(const char *path)
{
    int old = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    return old;
}

static inline void stdin_back(int old)
{
    if (old < 0) {
        close(STDIN_FILENO);
        return;
    }
    dup2(old, STDIN_FILENO);
    close(old);
}

#endif

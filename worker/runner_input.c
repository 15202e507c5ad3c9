#include "worker/runner_input.h"

#include "proto/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(struct runner_input *in)
{
    if (in->file >= 0) close(in->file);
    in->file = -1;
}

static err_t open_file(struct runner_input *in, const struct runner_task *t, struct err *e)
{
    struct stat st;
    if (in->file >= 0 && in->dev == t->dev && in->ino == t->ino) return ERR_OK;
    close_file(in);
    in->file = open(t->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (in->file < 0) return err_sys(e, "cannot open %s", t->path);
    if (fstat(in->file, &st)) return err_sys(e, "cannot stat %s", t->path);
    if ((uint64_t)st.st_dev != t->dev || (uint64_t)st.st_ino != t->ino) {
        close_file(in);
        return err_set(e, ERR_CHANGED, "%s was replaced by another file during the run",
                       t->path);
    }
    in->dev = t->dev;
    in->ino = t->ino;
    return ERR_OK;
}

static err_t make_room(struct runner_input *in, size_t n, struct err *e)
{
    if (in->block_cap >= n + 2 * CSV_PAD) return ERR_OK;
    free(in->block);
    in->block_cap = 0;
    in->block = malloc(n + n / 4 + 2 * CSV_PAD);
    if (!in->block) return err_set(e, ERR_NOMEM, "out of memory: a chunk of %zu bytes", n);
    in->block_cap = n + n / 4 + 2 * CSV_PAD;
    memset(in->block, 0, CSV_PAD);
    return ERR_OK;
}

void runner_input_ahead(struct runner_input *in, const struct runner_task *t, uint64_t from,
                        uint64_t to)
{
    in->ahead_from = in->ahead_to = 0;
    if (to <= from || to - from > TRAIN_INPUT_MAX || open_file(in, t, NULL)) return;
    if (!in->ahead) in->ahead = malloc(TRAIN_INPUT_MAX);
    if (!in->ahead) return;
    ssize_t n = pread(in->file, in->ahead, (size_t)(to - from), (off_t)from);
    in->ahead_from = from;
    in->ahead_to = n > 0 ? from + (uint64_t)n : from;
}

err_t runner_input_read(struct runner_input *in, const struct runner_task *t,
                        const uint8_t **bytes, struct err *e)
{
    size_t n = (size_t)t->bytes;
    TRY(open_file(in, t, e));
    TRY(make_room(in, n, e));
    uint8_t *p = in->block + CSV_PAD;
    size_t got = 0;
    if (t->begin >= in->ahead_from && t->begin + n <= in->ahead_to) {
        memcpy(p, in->ahead + (t->begin - in->ahead_from), n);
        got = n;
    }
    while (got < n) {
        ssize_t k = pread(in->file, p + got, n - got, (off_t)(t->begin + got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot read %s at byte %zu", t->path, t->begin + got);
        if (k == 0)
            return err_set(e, ERR_CHANGED,
                           "%s was truncated during the run: it ends before byte %llu",
                           t->path, (unsigned long long)(t->begin + got + 1));
        got += (size_t)k;
    }
    memset(p + n, 0, CSV_PAD);
    *bytes = p;
    return ERR_OK;
}

err_t runner_input_map(struct runner_input *in, size_t n, const uint8_t **bytes,
                       struct err *e)
{
    if (in->map_bytes < n + 2 * CSV_PAD) {
        if (in->map) munmap(in->map, in->map_bytes);
        in->map_bytes = 0;
        in->map = mmap(NULL, n + 2 * CSV_PAD, PROT_READ, MAP_SHARED, RUNNER_FD_INPUT, 0);
        if (in->map == MAP_FAILED) {
            in->map = NULL;
            return err_sys(e, "cannot map a chunk of %zu bytes", n);
        }
        in->map_bytes = n + 2 * CSV_PAD;
    }
    *bytes = in->map + CSV_PAD;
    return ERR_OK;
}

err_t runner_input_copy(struct runner_input *in, const uint8_t *from, size_t n,
                        struct err *e)
{
    TRY(make_room(in, n, e));
    memcpy(in->block + CSV_PAD, from, n);
    memset(in->block + CSV_PAD + n, 0, CSV_PAD);
    return ERR_OK;
}

err_t runner_input_unpack(struct runner_input *in, const uint8_t *from, size_t packed,
                          size_t n, struct err *e)
{
    TRY(make_room(in, n, e));
    memset(in->block + CSV_PAD + n, 0, CSV_PAD);
    return unpack_bytes(from, packed, in->block + CSV_PAD, n, e);
}

void runner_input_shrink(struct runner_input *in)
{
    close_file(in);
    free(in->block);
    in->block = NULL;
    in->block_cap = 0;
}

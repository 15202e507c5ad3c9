#include "worker/files.h"

#include "proto/spec.h"
#include "worker/cache.h"
#include "worker/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WORK_BYTES = 4 << 20, // read in one files_work: some ms
    WINDOW = 4 << 20,     // asked for and not here yet: covers 1 Gbit/s over 30 ms
    TRIES = 3,            // of a damaged piece, and of a file with the wrong digest
    BLOCK = 256 << 10,
};

enum phase { LOOK, VERIFY, FETCH };

struct files {
    struct file_set set;
    struct files_opts o;
    struct cache cache;
    int list_fd;
    size_t at; // the file that is worked on
    enum phase phase;
    char path[CACHE_PATH];    // of it, in VERIFY
    int fd;                   // VERIFY
    struct file_stamp before; // the digest was taken
    struct cache_part part;   // FETCH
    struct file_hash *hash;
    uint64_t done, asked; // bytes of it
    ns_t moved;           // one of them grew
    unsigned tries;
    uint8_t *block;
};

static struct job_file *current(struct files *f)
{
    return &f->set.v[f->at];
}

static err_t start_cache(struct files *f, struct err *e)
{
    f->block = malloc(BLOCK);
    if (!f->block) return err_set(e, ERR_NOMEM, "out of memory: files of the job");
    return f->o.in_place ? ERR_OK : cache_open(&f->cache, f->o.cache_bytes, e);
}

err_t files_new(struct files **out, struct slice spec, const struct files_opts *o,
                struct err *e)
{
    struct spec s;
    TRY(spec_decode(&s, spec.p, spec.n, e));
    struct files *f = calloc(1, sizeof *f);
    if (!f) {
        spec_free(&s);
        return err_set(e, ERR_NOMEM, "out of memory: files of the job");
    }
    f->set = s.files;
    s.files = (struct file_set){ 0 };
    spec_free(&s);
    f->o = *o;
    f->fd = f->part.fd = f->cache.fd = f->cache.job_fd = -1;
    f->list_fd = memfd_create("tranche-files", MFD_CLOEXEC);
    err_t rc = f->list_fd >= 0 ? ERR_OK : err_sys(e, "cannot keep the list of files");
    if (rc == ERR_OK && f->set.n) rc = start_cache(f, e);
    if (rc == ERR_OK)
        *out = f;
    else
        files_free(&f);
    return rc;
}

static void stop_file(struct files *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    cache_drop(&f->cache, &f->part);
    file_hash_free(&f->hash);
    f->done = f->asked = 0;
}

void files_free(struct files **ff)
{
    struct files *f = *ff;
    if (!f) return;
    stop_file(f);
    cache_close(&f->cache);
    if (f->list_fd >= 0) close(f->list_fd);
    file_set_free(&f->set);
    free(f->block);
    free(f);
    *ff = NULL;
}

// ---- one file ----

static err_t finish(struct files *f, struct err *e)
{
    static struct runner_file r;
    stop_file(f);
    r = (struct runner_file){ .stamp = f->before, .in_place = f->o.in_place };
    snprintf(r.path, sizeof r.path, "%s", f->path);
    if (write(f->list_fd, &r, sizeof r) != (ssize_t)sizeof r)
        return err_sys(e, "cannot keep the list of files");
    f->at++;
    f->phase = LOOK;
    f->tries = 0;
    return ERR_OK;
}

static err_t verify(struct files *f, struct err *e)
{
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (f->fd < 0) return err_sys(e, "cannot open %s", f->path);
    f->phase = VERIFY;
    TRY(file_stamp_fd(f->fd, &f->before, e));
    return file_hash_new(&f->hash, e);
}

static err_t look(struct files *f, struct err *e)
{
    struct job_file *x = current(f);
    if (f->o.in_place) {
        snprintf(f->path, sizeof f->path, "%s", x->path);
        return verify(f, e);
    }
    if (cache_take(&f->cache, x, (uint32_t)f->at, f->path)) return verify(f, e);
    TRY(cache_begin(&f->cache, x, &f->part, e));
    f->phase = FETCH;
    return file_hash_new(&f->hash, e);
}

// The file in place was the same before and after its digest was taken: what runners see
// with that stamp has that digest.
static bool stood_still(struct files *f)
{
    struct file_stamp now;
    return !f->o.in_place || (file_stamp_fd(f->fd, &now, NULL) == ERR_OK &&
                              file_same_stamp(&now, &f->before));
}

static bool is_right(struct files *f)
{
    struct file_digest d = file_hash_value(f->hash);
    return f->done == current(f)->size && memcmp(&d, &current(f)->digest, sizeof d) == 0;
}

static err_t verified(struct files *f, struct err *e)
{
    if (is_right(f) && stood_still(f)) return finish(f, e);
    if (f->o.in_place)
        return err_set(e, ERR_CHANGED,
                       "%s changed during the run: its digest no longer matches", f->path);
    if (++f->tries >= TRIES)
        return err_set(e, ERR_IO, "%s cannot be kept in %s: it reads wrong again and again",
                       current(f)->name, f->cache.dir);
    cache_spoilt(&f->cache, current(f), f->path); // the disk, or somebody with our rights
    stop_file(f);
    f->phase = LOOK;
    return ERR_OK;
}

static err_t read_on(struct files *f, struct err *e)
{
    for (size_t read_now = 0; read_now < WORK_BYTES;) {
        ssize_t n = read(f->fd, f->block, BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(e, "cannot read %s", f->path);
        if (n == 0 || f->done > current(f)->size) return verified(f, e);
        file_hash_add(f->hash, f->block, (size_t)n);
        f->done += (size_t)n;
        read_now += (size_t)n;
    }
    return ERR_OK;
}

// The last piece is here.
static err_t fetched(struct files *f, struct err *e)
{
    struct job_file *x = current(f);
    bool right = is_right(f);
    if (right) TRY(cache_commit(&f->cache, &f->part, x, e));
    stop_file(f);
    if (right) {
        if (cache_take(&f->cache, x, (uint32_t)f->at, f->path)) return finish(f, e);
        if (++f->tries < TRIES) return f->phase = LOOK, ERR_OK; // thrown out by a neighbour
        return err_set(e, ERR_IO, "%s cannot be kept in %s: no link to it can be made",
                       x->name, f->cache.dir);
    }
    f->phase = LOOK;
    if (++f->tries < TRIES) return ERR_OK;
    return err_set(e, ERR_CHANGED,
                   "%s came %d times with another digest than the job names: its digest no "
                   "longer matches",
                   x->name, TRIES);
}

err_t files_work(struct files *f, enum files_state *state, struct err *e)
{
    if (f->at < f->set.n && f->phase == LOOK) TRY(look(f, e));
    if (f->at < f->set.n && f->phase == VERIFY) TRY(read_on(f, e));
    if (f->at < f->set.n && f->phase == FETCH && f->done == current(f)->size)
        TRY(fetched(f, e));
    *state = f->at == f->set.n ? FILES_READY : f->phase == FETCH ? FILES_WAIT : FILES_WORK;
    return ERR_OK;
}

// ---- pieces ----

bool files_next_ask(struct files *f, struct files_ask *ask)
{
    if (f->at == f->set.n || f->phase != FETCH) return false;
    uint64_t left = current(f)->size - f->asked;
    if (left == 0 || f->asked - f->done > WINDOW - FILE_PIECE_MAX) return false;
    *ask = (struct files_ask){
        .file = (uint32_t)f->at,
        .at = f->asked,
        .bytes = left < FILE_PIECE_MAX ? (uint32_t)left : FILE_PIECE_MAX,
    };
    f->asked += ask->bytes;
    f->moved = clock_ns();
    return true;
}

err_t files_take(struct files *f, uint32_t file, uint64_t at, struct slice piece,
                 bool damaged, struct err *e)
{
    if (file != f->at || file >= f->set.n || f->phase != FETCH || at != f->done)
        return ERR_OK;
    if (damaged || piece.n == 0 || piece.n > f->asked - f->done) {
        f->asked = f->done;
        if (++f->tries < TRIES) return ERR_OK;
        return err_set(e, ERR_PROTO, "%s arrives damaged again and again",
                       current(f)->name);
    }
    TRY(cache_write(&f->cache, &f->part, piece.p, piece.n, at, e));
    file_hash_add(f->hash, piece.p, piece.n);
    f->done += piece.n;
    f->moved = clock_ns();
    return ERR_OK;
}

void files_ask_again(struct files *f)
{
    f->asked = f->done;
}

// On a slow line pings stand between pieces, before the answers to what was asked last.
void files_ask_if_lost(struct files *f, ns_t silence)
{
    if (clock_ns() - f->moved >= silence) files_ask_again(f);
}

int files_list_fd(const struct files *f)
{
    return f->list_fd;
}

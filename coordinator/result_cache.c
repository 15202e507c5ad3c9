#include "coordinator/result_cache.h"

#include "coordinator/cache_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FORMAT = 2,
    JOB_NAME = 64,
};
static const char magic[8] = "trresult";

struct head { // of a file; the image follows
    char magic[8];
    uint32_t format, reserved;
    struct hash128 name;
    uint64_t rows_read, rows_parsed, rows_emitted, misfits, image_bytes;
    char job[JOB_NAME];
    struct hash128 digest; // of all before it, and the image
};

struct result_cache {
    int dir;
    struct hash128 spec;
    bool by_place;
    uint64_t max_bytes;
    char job[JOB_NAME];
    uint64_t written; // since it was last made to fit
    _Atomic bool off, to_say;
    const char *missed;
    char why[400];
};

static void make_fit(struct result_cache *c)
{
    c->written = 0;
    cache_files_fit(c->dir, c->max_bytes);
}

// ---- names ----

// What does not change a row is left out: whoever raises a limit has the same results.
err_t result_cache_spec(const struct spec *spec, struct hash128 *out, struct err *e)
{
    struct spec rows = *spec;
    struct buf text = { 0 };
    rows.timeout_ms = 0;
    rows.memory_bytes = 0;
    rows.result_max_bytes = 0;
    err_t rc = spec_encode(&rows, &text, e);
    if (rc == ERR_OK) rc = buf_printf(&text, e, "\n%s %d\n", TRANCHE_VERSION, FORMAT);
    if (rc == ERR_OK) *out = hash_bytes(text.p, text.n);
    buf_free(&text);
    return rc;
}

bool result_cache_name(const struct result_cache *c, const struct chunk_data *d,
                       struct hash128 *name)
{
    struct {
        struct hash128 spec, bytes;
        uint64_t begin, end;
    } of = { .spec = c->spec, .bytes = d->digest };
    if (d->unread) return false;
    if (c->by_place) {
        of.begin = d->range.begin;
        of.end = d->range.end;
    }
    *name = hash_bytes(&of, sizeof of);
    return true;
}

err_t result_cache_open(struct result_cache **out, const struct result_cache_opts *o,
                        struct err *e)
{
    struct result_cache *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c) return err_set(e, ERR_NOMEM, "out of memory");
    c->max_bytes = o->max_bytes;
    c->by_place = o->by_place;
    snprintf(c->job, sizeof c->job, "%.63s", o->job);
    c->dir = cache_files_open(o->state_dir, true);
    err_t rc = c->dir >= 0 ? result_cache_spec(o->spec, &c->spec, e)
                           : err_sys(e, "%s/cache/results", o->state_dir);
    if (rc == ERR_OK)
        *out = c;
    else
        result_cache_close(&c);
    return rc;
}

void result_cache_close(struct result_cache **cc)
{
    struct result_cache *c = *cc;
    if (!c) return;
    if (c->dir >= 0) make_fit(c); // the limit may be a lower one than before
    if (c->dir >= 0) close(c->dir);
    free(c);
    *cc = NULL;
}

// ---- taking ----

static struct hash128 digest_of(const struct head *h, const uint8_t *image)
{
    struct hash128 parts[2] = { hash_bytes(h, offsetof(struct head, digest)),
                                hash_bytes(image ? image : (const uint8_t *)"",
                                           h->image_bytes) };
    return hash_bytes(parts, sizeof parts);
}

// The image; NULL with *ok: it has none.
static uint8_t *read_result(const struct result_cache *c, int fd, struct hash128 name,
                            struct head *h, bool *ok)
{
    struct stat st;
    *ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
          cache_files_read(fd, h, sizeof *h) &&
          memcmp(h->magic, magic, sizeof magic) == 0 && h->format == FORMAT &&
          hash_equal(h->name, name) && h->image_bytes <= c->max_bytes &&
          (uint64_t)st.st_size == sizeof *h + h->image_bytes;
    uint8_t *image = *ok && h->image_bytes ? malloc(h->image_bytes) : NULL;
    *ok = *ok && (image || !h->image_bytes) &&
          (!image || cache_files_read(fd, image, h->image_bytes)) &&
          hash_equal(h->digest, digest_of(h, image));
    if (*ok) return image;
    free(image);
    return NULL;
}

bool result_cache_take(struct result_cache *c, struct hash128 name, struct result *r,
                       uint8_t **bytes)
{
    char file[HASH_HEX];
    struct head h;
    bool ok;
    hash_hex(name, file);
    int fd = openat(c->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    c->missed = "no result of the same bytes and the same transform is kept";
    if (fd < 0) return false;
    c->missed = "what was kept of it is damaged and was removed";
    *bytes = read_result(c, fd, name, &h, &ok);
    if (ok)
        cache_files_touch(fd);
    else
        unlinkat(c->dir, file, 0); // torn by a crash, or somebody wrote into it
    close(fd);
    if (!ok) return false;
    *r = (struct result){ .image = *bytes,
                          .image_bytes = h.image_bytes,
                          .row = { .state = LEDGER_DONE,
                                   .rows_read = h.rows_read,
                                   .rows_parsed = h.rows_parsed,
                                   .rows_emitted = h.rows_emitted,
                                   .misfits = h.misfits,
                                   .worker = "cache",
                                   .result_digest = h.digest } };
    return true;
}

const char *result_cache_missed(const struct result_cache *c)
{
    return c->missed;
}

// ---- keeping ----

static void give_up(struct result_cache *c)
{
    snprintf(c->why, sizeof c->why,
             "results of this run are not kept for the next one: cache/results: %s",
             strerror(errno));
    atomic_store(&c->off, true);
    atomic_store(&c->to_say, true);
}

static struct head head_of(const struct result_cache *c, struct hash128 name,
                           const struct result *r)
{
    struct head h = { .format = FORMAT,
                      .name = name,
                      .rows_read = r->row.rows_read,
                      .rows_parsed = r->row.rows_parsed,
                      .rows_emitted = r->row.rows_emitted,
                      .misfits = r->row.misfits,
                      .image_bytes = r->image_bytes };
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.job, c->job, sizeof h.job);
    h.digest = digest_of(&h, r->image);
    return h;
}

void result_cache_keep(struct result_cache *c, struct hash128 name, const struct result *r)
{
    char file[HASH_HEX];
    if (atomic_load(&c->off) || r->rejects.n || r->row.rows_rejected) return;
    if (r->image_bytes > c->max_bytes / 4) return; // it would drive out all others
    struct head h = head_of(c, name, r);
    hash_hex(name, file);
    if (!cache_files_put(c->dir, file, (struct slice){ (uint8_t *)&h, sizeof h },
                         (struct slice){ r->image, r->image_bytes })) {
        give_up(c);
        return;
    }
    c->written += sizeof h + r->image_bytes;
    if (c->written > c->max_bytes / 8) make_fit(c);
}

const char *result_cache_why_not(struct result_cache *c)
{
    return atomic_exchange(&c->to_say, false) ? c->why : NULL;
}

// ---- looking at it ----

static void job_of(int dir, const char *file, char job[JOB_NAME])
{
    struct head h;
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    job[0] = 0;
    if (fd < 0) return;
    if (cache_files_read(fd, &h, sizeof h) && memcmp(h.magic, magic, sizeof magic) == 0)
        snprintf(job, JOB_NAME, "%.63s", h.job);
    close(fd);
}

static err_t add_to(struct result_cache_sum **sums, size_t *n, const char *job,
                    const struct cache_file *x, struct err *e)
{
    size_t i = 0;
    while (i < *n && strcmp((*sums)[i].job, job) != 0)
        i++;
    if (i == *n) {
        struct result_cache_sum *more = realloc(*sums, (*n + 1) * sizeof *more);
        if (!more) return err_set(e, ERR_NOMEM, "out of memory");
        *sums = more;
        more[(*n)++] = (struct result_cache_sum){ .used_wall_s = x->used_s };
        snprintf(more[i].job, sizeof more[i].job, "%s", job);
    }
    (*sums)[i].results++;
    (*sums)[i].bytes += x->bytes;
    return ERR_OK;
}

err_t result_cache_list(const char *state_dir, result_cache_fn *fn, void *arg,
                        struct err *e)
{
    struct cache_file *v = NULL;
    struct result_cache_sum *sums = NULL;
    size_t n = 0, n_sums = 0;
    int dir = cache_files_open(state_dir, false);
    if (dir < 0 && errno == ENOENT) return ERR_OK;
    if (dir < 0) return err_sys(e, "%s/cache/results", state_dir);
    err_t rc = cache_files_list(dir, &v, &n, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        char job[JOB_NAME];
        if (!cache_files_is_result(v[i].name)) continue;
        job_of(dir, v[i].name, job);
        rc = add_to(&sums, &n_sums, job, &v[i], e);
    }
    for (size_t i = 0; rc == ERR_OK && i < n_sums; i++)
        fn(arg, &sums[i]);
    free(sums);
    free(v);
    close(dir);
    return rc;
}

err_t result_cache_clear(const char *state_dir, struct result_cache_sum *sum, struct err *e)
{
    struct cache_file *v = NULL;
    size_t n = 0;
    *sum = (struct result_cache_sum){ 0 };
    int dir = cache_files_open(state_dir, false);
    if (dir < 0 && errno == ENOENT) return ERR_OK;
    if (dir < 0) return err_sys(e, "%s/cache/results", state_dir);
    err_t rc = cache_files_list(dir, &v, &n, e);
    for (size_t i = 0; rc == ERR_OK && i < n; i++) {
        if (unlinkat(dir, v[i].name, 0) != 0 && errno != ENOENT) {
            rc = err_sys(e, "cannot remove %s/cache/results/%s", state_dir, v[i].name);
            break;
        }
        sum->results += cache_files_is_result(v[i].name);
        sum->bytes += v[i].bytes;
    }
    free(v);
    close(dir);
    return rc;
}

#include "coordinator/source_stream.h"

#include "common/csv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_BYTES = 128 << 10 };

static const char STOPS[] = "it stops in the middle (truncated?)";

struct stream {
    enum stream_kind kind;
    int fd;      // STDIN_FILENO is never closed
    int stop_fd; // readable: wait no more; -1: none
    char *name;
    struct stat st;
    uint64_t offset;
    uint64_t disk_offset;
    uint8_t *ahead; // CSV_PAD, what was peeked, CSV_PAD
    size_t ahead_n, ahead_at;
    uint8_t *in; // compressed bytes that wait
    size_t in_n, in_at;
    bool in_end;      // the file has no more
    bool member_open; // inside a gzip member or zstd frame
    z_stream z;
    ZSTD_DStream *zstd;
    uint64_t told_size;
};

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static err_t kind_of(const struct stat *st, const char *name, enum stream_kind *out,
                     struct err *e)
{
    if (S_ISDIR(st->st_mode))
        return err_set(e, ERR_INVALID,
                       "%s is a folder: name the files in it, like '%s/*.csv'", name, name);
    if (S_ISFIFO(st->st_mode)) {
        *out = STREAM_PIPE;
        return ERR_OK;
    }
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_INVALID, "%s is neither a file nor a pipe", name);
    *out = ends_with(name, ".gz")    ? STREAM_GZIP
           : ends_with(name, ".zst") ? STREAM_ZSTD
                                     : STREAM_FILE;
    return ERR_OK;
}

static err_t open_file(struct stream *s, const char *path, struct err *e)
{
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(e, ERR_INVALID, "%s does not exist", s->name);
    if (s->fd < 0) return err_sys(e, "cannot open %s", s->name);
    if (fstat(s->fd, &s->st) != 0) return err_sys(e, "cannot examine %s", s->name);
    return kind_of(&s->st, s->name, &s->kind, e);
}

static err_t refill(struct stream *s, struct err *e);

static err_t check_magic(struct stream *s, const char *what, const uint8_t *magic, size_t n,
                         struct err *e)
{
    TRY(refill(s, e));
    if (s->in_n >= n && memcmp(s->in, magic, n) == 0) return ERR_OK;
    // A zstd file may start with skippable frames: 0x184D2A50 to 5F, little-endian.
    if (s->kind == STREAM_ZSTD && s->in_n >= 4 && (s->in[0] & 0xf0) == 0x50 &&
        memcmp(s->in + 1, "\x2a\x4d\x18", 3) == 0)
        return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s is not a %s file, whatever its name says: its first bytes are "
                   "others; rename it if it is not compressed",
                   s->name, what);
}

static err_t open_decoder(struct stream *s, struct err *e)
{
    if (s->kind != STREAM_GZIP && s->kind != STREAM_ZSTD) return ERR_OK;
    s->in = malloc(IN_BYTES);
    if (!s->in) return err_set(e, ERR_NOMEM, "out of memory");
    if (s->kind == STREAM_GZIP) {
        if (inflateInit2(&s->z, 15 + 16) != Z_OK) // 16: a gzip header, its CRC checked
            return err_set(e, ERR_NOMEM, "out of memory");
        return check_magic(s, "gzip", (const uint8_t *)"\x1f\x8b", 2, e);
    }
    s->zstd = ZSTD_createDStream();
    if (!s->zstd) return err_set(e, ERR_NOMEM, "out of memory");
    TRY(check_magic(s, "zstd", (const uint8_t *)"\x28\xb5\x2f\xfd", 4, e));
    unsigned long long told = ZSTD_getFrameContentSize(s->in, s->in_n);
    if (told != ZSTD_CONTENTSIZE_UNKNOWN && told != ZSTD_CONTENTSIZE_ERROR)
        s->told_size = told;
    return ERR_OK;
}

err_t stream_open(struct stream **out, const char *path, const char *name, struct err *e)
{
    struct stream *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, ERR_NOMEM, "out of memory");
    s->fd = s->stop_fd = -1;
    s->name = strdup(name);
    err_t rc = s->name ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK && path) rc = open_file(s, path, e);
    if (rc == ERR_OK && !path) {
        s->fd = STDIN_FILENO;
        s->kind = STREAM_PIPE;
        if (fstat(s->fd, &s->st) != 0) rc = err_sys(e, "cannot read standard input");
    }
    if (rc == ERR_OK) rc = open_decoder(s, e);
    if (rc != ERR_OK) {
        stream_close(&s);
        return rc;
    }
    if (s->kind != STREAM_PIPE) posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *out = s;
    return ERR_OK;
}

void stream_close(struct stream **sp)
{
    struct stream *s = *sp;
    if (!s) return;
    if (s->kind == STREAM_GZIP) inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    if (s->fd > STDIN_FILENO) close(s->fd);
    free(s->ahead);
    free(s->in);
    free(s->name);
    free(s);
    *sp = NULL;
}

void stream_stop_by(struct stream *s, int fd)
{
    s->stop_fd = fd;
}

enum stream_kind stream_kind(const struct stream *s)
{
    return s->kind;
}

const struct stat *stream_stat(const struct stream *s)
{
    return &s->st;
}

int stream_fd(const struct stream *s)
{
    return s->fd;
}

uint64_t stream_offset(const struct stream *s)
{
    return s->offset;
}

uint64_t stream_disk_offset(const struct stream *s)
{
    return s->kind == STREAM_FILE ? s->offset : s->disk_offset - (s->in_n - s->in_at);
}

uint64_t stream_told_size(const struct stream *s)
{
    return s->told_size;
}

void stream_seek(struct stream *s, uint64_t offset)
{
    assert(s->kind == STREAM_FILE);
    s->ahead_n = s->ahead_at = 0;
    s->offset = offset;
}

err_t stream_pread(int fd, const char *name, void *to, size_t n, uint64_t offset,
                   size_t *got, struct err *e)
{
    *got = 0;
    while (*got < n) {
        ssize_t r = pread(fd, (uint8_t *)to + *got, n - *got, (off_t)(offset + *got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0)
            return err_sys(e, "cannot read %s at byte %llu", name,
                           (unsigned long long)(offset + *got));
        if (r == 0) break;
        *got += (size_t)r;
    }
    return ERR_OK;
}

// Nothing may ever come through a pipe: whoever reads it can be told to stop.
static err_t wait_for_bytes(struct stream *s, struct err *e)
{
    struct pollfd p[] = { { s->fd, POLLIN, 0 }, { s->stop_fd, POLLIN, 0 } };
    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
    if (p[1].revents) return err_set(e, ERR_CLOSED, "%s is not read any further", s->name);
    return ERR_OK;
}

// One read of whatever is there; 0 is the end.
static err_t read_some(struct stream *s, void *to, size_t n, size_t *got, struct err *e)
{
    for (;;) {
        if (s->kind == STREAM_PIPE) TRY(wait_for_bytes(s, e));
        ssize_t r = read(s->fd, to, n);
        if (r >= 0) {
            *got = (size_t)r;
            s->disk_offset += (size_t)r;
            return ERR_OK;
        }
        if (errno != EINTR && errno != EAGAIN)
            return err_sys(e, "cannot read %s after byte %llu", s->name,
                           (unsigned long long)s->disk_offset);
    }
}

static err_t refill(struct stream *s, struct err *e)
{
    s->in_n = s->in_at = 0;
    while (s->in_n < IN_BYTES) {
        size_t got;
        TRY(read_some(s, s->in + s->in_n, IN_BYTES - s->in_n, &got, e));
        if (got == 0) {
            s->in_end = true;
            break;
        }
        s->in_n += got;
    }
    return ERR_OK;
}

static err_t damaged(struct stream *s, uint64_t offset, const char *why, struct err *e)
{
    return err_set(
        e, ERR_CHANGED,
        "%s is damaged: %s, after %llu decompressed bytes (%llu bytes of the file)",
        s->name, why, (unsigned long long)offset,
        (unsigned long long)stream_disk_offset(s));
}

// Zero bytes past the last member are padding; a next member must look like one.
static err_t between_members(struct stream *s, uint64_t offset, bool *more, struct err *e)
{
    while (s->in_at < s->in_n && s->in[s->in_at] == 0)
        s->in_at++;
    *more = s->in_at < s->in_n;
    if (!*more) return ERR_OK;
    if (s->in[s->in_at] != 0x1f)
        return damaged(s, offset, "bytes that are not gzip follow its data", e);
    if (inflateReset(&s->z) != Z_OK) return damaged(s, offset, "cannot go on", e);
    s->member_open = true;
    return ERR_OK;
}

static err_t gunzip(struct stream *s, uint8_t *to, size_t n, size_t *got, struct err *e)
{
    while (*got < n) {
        if (s->in_at == s->in_n && !s->in_end) TRY(refill(s, e));
        if (!s->member_open) {
            bool more;
            TRY(between_members(s, s->offset + *got, &more, e));
            if (!more && s->in_end) return ERR_OK;
            if (!more) continue;
        }
        size_t want = n - *got < UINT32_MAX ? n - *got : UINT32_MAX;
        s->z.next_in = s->in + s->in_at;
        s->z.avail_in = (uInt)(s->in_n - s->in_at);
        s->z.next_out = to + *got;
        s->z.avail_out = (uInt)want;
        int rc = inflate(&s->z, Z_NO_FLUSH);
        s->in_at = s->in_n - s->z.avail_in;
        *got += want - s->z.avail_out;
        if (rc == Z_STREAM_END)
            s->member_open = false;
        else if (rc == Z_MEM_ERROR)
            return err_set(e, ERR_NOMEM, "out of memory");
        else if (rc == Z_BUF_ERROR && s->in_end) // no progress: nothing in, nothing out
            return damaged(s, s->offset + *got, STOPS, e);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return damaged(s, s->offset + *got, s->z.msg ? s->z.msg : "not gzip", e);
    }
    return ERR_OK;
}

static err_t unzstd(struct stream *s, uint8_t *to, size_t n, size_t *got, struct err *e)
{
    while (*got < n) {
        if (s->in_at == s->in_n && !s->in_end) TRY(refill(s, e));
        if (s->in_at == s->in_n && !s->member_open) return ERR_OK;
        ZSTD_inBuffer in = { s->in, s->in_n, s->in_at };
        ZSTD_outBuffer out = { to, n, *got };
        size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);
        bool stuck = in.pos == s->in_at && out.pos == *got;
        s->in_at = in.pos;
        *got = out.pos;
        if (ZSTD_isError(rc)) return damaged(s, s->offset + *got, ZSTD_getErrorName(rc), e);
        s->member_open = rc != 0;
        if (s->member_open && stuck && s->in_end)
            return damaged(s, s->offset + *got, STOPS, e);
    }
    return ERR_OK;
}

static err_t read_pipe(struct stream *s, uint8_t *to, size_t n, size_t *got, struct err *e)
{
    while (*got < n && !s->in_end) {
        size_t r;
        TRY(read_some(s, to + *got, n - *got, &r, e));
        if (r == 0) s->in_end = true; // a terminal would go on
        *got += r;
    }
    return ERR_OK;
}

// Reads on behind what was peeked.
static err_t read_fresh(struct stream *s, uint8_t *to, size_t n, size_t *got, struct err *e)
{
    *got = 0;
    switch (s->kind) {
    case STREAM_FILE: return stream_pread(s->fd, s->name, to, n, s->offset, got, e);
    case STREAM_PIPE: return read_pipe(s, to, n, got, e);
    case STREAM_GZIP: return gunzip(s, to, n, got, e);
    case STREAM_ZSTD: return unzstd(s, to, n, got, e);
    }
    assert(!"kind of stream");
    return ERR_INVALID;
}

err_t stream_read(struct stream *s, void *to, size_t n, size_t *got, struct err *e)
{
    size_t have = s->ahead_n - s->ahead_at;
    if (have > n) have = n;
    if (have) memcpy(to, s->ahead + CSV_PAD + s->ahead_at, have);
    s->ahead_at += have;
    s->offset += have;
    if (s->ahead && s->ahead_at == s->ahead_n) {
        free(s->ahead);
        s->ahead = NULL;
        s->ahead_n = s->ahead_at = 0;
    }
    *got = have;
    if (have == n) return ERR_OK;
    size_t more;
    TRY(read_fresh(s, (uint8_t *)to + have, n - have, &more, e));
    s->offset += more;
    *got += more;
    return ERR_OK;
}

err_t stream_peek(struct stream *s, size_t n, struct slice *out, struct err *e)
{
    assert(s->offset == 0);
    if (n > s->ahead_n) {
        uint8_t *p = realloc(s->ahead, n + 2 * CSV_PAD);
        if (!p) return err_set(e, ERR_NOMEM, "out of memory: %zu bytes wanted", n);
        s->ahead = p;
        memset(p, 0, CSV_PAD);
        size_t got;
        s->offset = s->ahead_n;
        err_t rc = read_fresh(s, p + CSV_PAD + s->ahead_n, n - s->ahead_n, &got, e);
        s->offset = 0;
        if (rc != ERR_OK) return rc;
        s->ahead_n += got;
        memset(p + CSV_PAD + s->ahead_n, 0, CSV_PAD);
    }
    *out = (struct slice){ s->ahead + CSV_PAD, n < s->ahead_n ? n : s->ahead_n };
    return ERR_OK;
}

#include "coordinator/columns_cache.h"

#include "coordinator/cache_files.h"
#include "coordinator/result_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FORMAT = 1,
    MOST = 16 << 20, // as much as a worker may answer
};
static const char magic[8] = "trcolumn";

struct head { // of a file; the encoded spec follows
    char magic[8];
    uint32_t format, reserved;
    struct hash128 name;
    uint64_t bytes;
    struct hash128 digest; // of all before it, and the spec
};

err_t columns_cache_name(const struct spec *request, const struct buf *sample,
                         struct hash128 *name, struct err *e)
{
    struct hash128 of[2];
    TRY(result_cache_spec(request, &of[0], e));
    of[1] = hash_bytes(sample->n ? sample->p : (const uint8_t *)"", sample->n);
    *name = hash_bytes(of, sizeof of);
    return ERR_OK;
}

static void file_name(struct hash128 name, char out[CACHE_FILE_NAME])
{
    hash_hex(name, out);
    memcpy(out + HASH_HEX - 1, CACHE_FILES_COLUMNS, sizeof CACHE_FILES_COLUMNS);
}

static struct hash128 digest_of(const struct head *h, const uint8_t *spec)
{
    struct hash128 parts[2] = { hash_bytes(h, offsetof(struct head, digest)),
                                hash_bytes(spec, h->bytes) };
    return hash_bytes(parts, sizeof parts);
}

static bool read_answer(int fd, struct hash128 name, struct spec *answer)
{
    struct head h;
    struct stat st;
    struct err e;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        !cache_files_read(fd, &h, sizeof h) || memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.format != FORMAT || !hash_equal(h.name, name) || h.bytes == 0 || h.bytes > MOST ||
        (uint64_t)st.st_size != sizeof h + h.bytes)
        return false;
    uint8_t *spec = malloc(h.bytes);
    bool ok = spec && cache_files_read(fd, spec, h.bytes) &&
              hash_equal(h.digest, digest_of(&h, spec)) &&
              spec_decode(answer, spec, h.bytes, &e) == ERR_OK;
    free(spec);
    return ok;
}

bool columns_cache_take(const char *state_dir, struct hash128 name, struct spec *answer)
{
    char file[CACHE_FILE_NAME];
    file_name(name, file);
    int dir = cache_files_open(state_dir, false);
    int fd = dir < 0 ? -1 : openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && read_answer(fd, name, answer);
    if (ok) cache_files_touch(fd);
    if (fd >= 0) close(fd);
    if (dir >= 0) close(dir);
    return ok;
}

void columns_cache_keep(const char *state_dir, struct hash128 name,
                        const struct spec *answer)
{
    struct head h = { .format = FORMAT, .name = name };
    struct buf spec = { 0 };
    struct err e;
    char file[CACHE_FILE_NAME];
    int dir = cache_files_open(state_dir, true);
    if (dir >= 0 && spec_encode(answer, &spec, &e) == ERR_OK && spec.n && spec.n <= MOST) {
        memcpy(h.magic, magic, sizeof magic);
        h.bytes = spec.n;
        h.digest = digest_of(&h, spec.p);
        file_name(name, file);
        (void)cache_files_put(dir, file, (struct slice){ (uint8_t *)&h, sizeof h },
                              (struct slice){ spec.p, spec.n });
    }
    buf_free(&spec);
    if (dir >= 0) close(dir);
}

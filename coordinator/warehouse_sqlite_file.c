// The warehouse as a file: where it is, whether it may be used, who holds it.

#include "coordinator/warehouse_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FUSE_MAGIC 0x65735546ul

const char *wsq_remote_fs(unsigned long f_type)
{
    switch (f_type) {
    case 0x6969: return "NFS";
    case 0x517b:
    case 0xff534d42:
    case 0xfe534d42: return "SMB";
    case 0x5346414f: return "AFS";
    case 0x73757245: return "Coda";
    case FUSE_MAGIC: return "FUSE";
    default: return NULL;
    }
}

// FUSE is one magic number for everything; a block device under it (NTFS, exFAT) is local.
static bool fuse_is_local(dev_t dev)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f) return false;
    char *line = NULL;
    size_t cap = 0;
    bool local = false;
    while (!local && getline(&line, &cap, f) > 0) {
        unsigned major, minor;
        const char *rest = strstr(line, " - ");
        if (rest && sscanf(line, "%*d %*d %u:%u", &major, &minor) == 2 &&
            major == major(dev) && minor == minor(dev))
            local = strncmp(rest, " - fuseblk ", 11) == 0;
    }
    free(line);
    fclose(f);
    return local;
}

static err_t check_fs(const char *given, const char *dir, struct err *e)
{
    struct statfs fs;
    struct stat st;
    if (statfs(dir, &fs) != 0 || stat(dir, &st) != 0) return err_sys(e, "%s", given);
    const char *name = wsq_remote_fs((unsigned long)fs.f_type & 0xfffffffful);
    if (!name) return ERR_OK;
    if (((unsigned long)fs.f_type & 0xfffffffful) == FUSE_MAGIC && fuse_is_local(st.st_dev))
        return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        "%s is on a %s file system, whose locks can't be trusted with a database: "
        "put the warehouse on a local disk",
        given, name);
}

static err_t check_file(const char *given, const char *path, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT) return err_sys(e, "%s", given);
        return ERR_OK; // to be created
    }
    if (S_ISLNK(st.st_mode))
        return err_set(e, ERR_INVALID,
                       "%s is a symbolic link: give the path of the database itself",
                       given);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INVALID,
                       "%s is a folder: give the path of a database file, such as "
                       "%s/warehouse.db",
                       given, given);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is not a regular file", given);
    if (access(path, R_OK) != 0)
        return err_set(e, ERR_INVALID, "%s can't be read: you have no permission", given);
    if (access(path, W_OK) != 0)
        return err_set(e, ERR_INVALID, "%s can't be written: %s", given,
                       errno == EROFS ? "its file system is read-only"
                                      : "you have no permission");
    return ERR_OK;
}

static err_t check_dir(const char *given, const char *dir, struct err *e)
{
    if (access(dir, W_OK | X_OK) == 0) return ERR_OK;
    if (errno == EROFS)
        return err_set(e, ERR_INVALID, "%s: the file system of its folder is read-only",
                       given);
    return err_set(e, ERR_INVALID,
                   "%s: you may not write in its folder, and a database needs a journal "
                   "beside it",
                   given);
}

err_t wsq_resolve(const char *given, char **out, struct err *e)
{
    const char *slash = strrchr(given, '/');
    const char *base = slash ? slash + 1 : given;
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return err_set(e, ERR_INVALID,
                       "'%s' names no file: write sqlite:PATH, such as sqlite:warehouse.db",
                       given);
    char *parent = slash ? strndup(given, (size_t)(slash - given) + 1) : strdup(".");
    if (!parent) return err_set(e, ERR_NOMEM, "out of memory");
    char *dir = realpath(parent, NULL);
    err_t rc = ERR_OK;
    if (!dir && errno == ENOENT)
        rc = err_set(e, ERR_INVALID, "%s: its folder %s does not exist: create it first",
                     given, parent);
    else if (!dir)
        rc = err_sys(e, "%s: its folder %s", given, parent);
    free(parent);
    if (rc != ERR_OK) return rc;

    char *path = NULL;
    if (asprintf(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, base) < 0)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = check_fs(given, dir, e);
    if (rc == ERR_OK) rc = check_file(given, path, e);
    if (rc == ERR_OK) rc = check_dir(given, dir, e);
    free(dir);
    if (rc != ERR_OK) {
        free(path);
        return rc;
    }
    *out = path;
    return ERR_OK;
}

// The command line of a process, made fit for one line of text.
static void describe_process(long pid, char *out, size_t cap)
{
    char path[64], text[120];
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    size_t n = 0;
    FILE *f = fopen(path, "re");
    if (f) {
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
    }
    while (n > 0 && text[n - 1] == 0)
        n--;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127) text[i] = ' ';
    text[n] = 0;
    if (n)
        snprintf(out, cap, "process %ld (%s)", pid, text);
    else
        snprintf(out, cap, "process %ld", pid);
}

// The database, or the -shm file, where SQLite keeps the locks of a database in WAL mode;
// with the bytes that SQLite locks in it (sqlite.org/src: os.h, wal.c).
struct lock_file {
    struct stat st;
    uint64_t first, last;
};

// How well a line of /proc/locks fits: 0 not at all. On some file systems (btrfs,
// overlayfs) stat and /proc/locks disagree about the device, so without it the bytes must
// do.
static int fit(const struct lock_file *f, unsigned major, unsigned minor, uint64_t ino,
               uint64_t start)
{
    if (f->st.st_ino != ino || start < f->first || start > f->last) return 0;
    return major == major(f->st.st_dev) && minor == minor(f->st.st_dev) ? 2 : 1;
}

static bool lock_files(const char *path, struct lock_file out[2])
{
    char shm[4096];
    snprintf(shm, sizeof shm, "%s-shm", path);
    out[0] = (struct lock_file){ .first = 0x40000000, .last = 0x40000000 + 511 };
    out[1] = (struct lock_file){ .first = 120, .last = 128 };
    bool db = stat(path, &out[0].st) == 0, wal = stat(shm, &out[1].st) == 0;
    return db || wal;
}

bool wsq_lock_holder(const char *path, char *out, size_t cap)
{
    struct lock_file files[2];
    FILE *f = lock_files(path, files) ? fopen("/proc/locks", "re") : NULL;
    if (!f) return false;
    char *line = NULL;
    size_t line_cap = 0;
    long holder = 0;
    int best = 0;
    while (getline(&line, &line_cap, f) > 0) {
        char mode[16];
        long pid;
        unsigned major, minor;
        uint64_t ino, start;
        // "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 1073741824 1073742335"; a waiter has
        // "->"
        if (sscanf(line, "%*d: POSIX %*s %15s %ld %x:%x:%" SCNu64 " %" SCNu64, mode, &pid,
                   &major, &minor, &ino, &start) != 6 ||
            pid <= 0 || pid == getpid())
            continue;
        for (unsigned i = 0; i < 2; i++) {
            int how = 2 * fit(&files[i], major, minor, ino, start);
            if (how && strcmp(mode, "WRITE") == 0) how++; // rather than a reader
            if (how <= best) continue;
            best = how;
            holder = pid;
        }
    }
    free(line);
    fclose(f);
    if (holder == 0) return false;
    describe_process(holder, out, cap);
    return true;
}

#include "coordinator/run_lock.h"

#include "common/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct run_lock {
    int fd;
};

// First line of a file, printable, cut to fit.
static void line_of(int fd, char *out, size_t n)
{
    ssize_t got = pread(fd, out, n - 1, 0);
    out[got > 0 ? got : 0] = '\0';
    for (char *p = out; *p; p++) {
        if (*p == '\n') *p = '\0';
        if (!*p) break;
        if ((unsigned char)*p < ' ') *p = ' ';
    }
}

static void line_of_path(const char *path, char *out, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    out[0] = '\0';
    if (fd < 0) return;
    line_of(fd, out, n);
    close(fd);
}

static void command(char out[200])
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 199);
    if (fd >= 0) close(fd);
    if (n < 0) n = 0;
    out[n] = '\0';
    for (ssize_t i = 0; i + 1 < n; i++)
        if ((unsigned char)out[i] < ' ') out[i] = ' ';
    char *space = strchr(out, ' ');
    char *slash = space ? memrchr(out, '/', (size_t)(space - out)) : strrchr(out, '/');
    if (slash) memmove(out, slash + 1, strlen(slash + 1) + 1);
}

static const char BOOT_ID[] = "/proc/sys/kernel/random/boot_id";
enum { HOST_ID = 17, BEGAN = 24 };

// "": the machine has no id of its own, and another one may have its name.
static void host_id(char out[HOST_ID])
{
    char id[110], hex[HASH_HEX];
    line_of_path("/etc/machine-id", id, 40);
    size_t n = strlen(id);
    out[0] = '\0';
    if (n == 0 || gethostname(id + n, 65) != 0) return;
    id[n + 64] = '\0';
    hash_hex(hash_bytes(id, strlen(id)), hex);
    snprintf(out, HOST_ID, "%.16s", hex);
}

// "": it cannot be told.
static void began_of(pid_t pid, char out[BEGAN])
{
    enum { BEHIND_NAME = 20 }; // fields from the end of its name to its start
    char path[40], line[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    line_of_path(path, line, sizeof line);
    const char *s = strrchr(line, ')'); // a name may have any characters
    for (int i = 0; s && i < BEHIND_NAME; i++)
        if ((s = strchr(s + 1, ' ')) && i + 1 == BEHIND_NAME) s++;
    snprintf(out, BEGAN, "%.*s", s ? (int)strspn(s, "0123456789") : 0, s ? s : "");
}

void run_lock_holder_of(int64_t pid, char out[RUN_LOCK_HOLDER])
{
    char boot[40], host[HOST_ID], began[BEGAN];
    line_of_path(BOOT_ID, boot, sizeof boot);
    host_id(host);
    began_of((pid_t)pid, began);
    snprintf(out, RUN_LOCK_HOLDER, "%ld@%s@%s@%s", (long)pid, boot, host, began);
}

void run_lock_holder(char out[RUN_LOCK_HOLDER])
{
    run_lock_holder_of(getpid(), out);
}

// The part of `holder` behind the nth '@'; "": it has none.
static void part(const char *holder, int nth, char *out, size_t size)
{
    const char *s = holder;
    for (; s && nth > 0; nth--)
        if ((s = strchr(s, '@'))) s++;
    snprintf(out, size, "%.*s", s ? (int)strcspn(s, "@") : 0, s ? s : "");
}

bool run_lock_holder_lives(const char *holder)
{
    char boot[40], its_boot[40], host[HOST_ID], its_host[HOST_ID], began[BEGAN],
        its_began[BEGAN];
    long pid = strtol(holder, NULL, 10);
    line_of_path(BOOT_ID, boot, sizeof boot);
    part(holder, 1, its_boot, sizeof its_boot);
    part(holder, 2, its_host, sizeof its_host);
    part(holder, 3, its_began, sizeof its_began);
    if (pid <= 0 || !its_boot[0]) return true;
    if (strcmp(boot, its_boot) != 0) {
        host_id(host);
        return !its_host[0] || strcmp(host, its_host) != 0;
    }
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return false;
    began_of((pid_t)pid, began);
    return !its_began[0] || !began[0] || strcmp(began, its_began) == 0;
}

static err_t made(int rc, const char *path, struct err *e)
{
    if (rc == 0) return ERR_OK;
    if (errno == EEXIST) {
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return ERR_OK;
        return err_set(e, ERR_IO, "%s is in the way: a folder is needed there", path);
    }
    if (errno == ENOSPC || errno == EDQUOT) {
        return err_set(e, ERR_FULL, "cannot create %s: no space is left on this disk",
                       path);
    }
    return err_sys(e, "cannot create %s (TRANCHE_HOME can name another folder)", path);
}

err_t run_lock_folder(const char *dir, struct err *e)
{
    char path[4200];
    TRY(made(mkdir(dir, 0700), dir, e));
    if (snprintf(path, sizeof path, "%s/locks", dir) >= (int)sizeof path - 64)
        return err_set(e, ERR_TOOBIG, "%.100s...: the path is too long", dir);
    return made(mkdir(path, 0700), path, e);
}

enum { LOCK_PATH = 4200 };

static err_t path_of(char path[LOCK_PATH], const char *dir, const char *key, struct err *e)
{
    char hex[HASH_HEX];
    hash_hex(hash_bytes(key, strlen(key)), hex);
    if (snprintf(path, LOCK_PATH, "%s/locks/%s.lock", dir, hex) < LOCK_PATH) return ERR_OK;
    return err_set(e, ERR_TOOBIG, "%.100s...: the path is too long", dir);
}

static err_t open_file(int *fd, const char *dir, const char *key, struct err *e)
{
    char path[LOCK_PATH];
    TRY(run_lock_folder(dir, e));
    TRY(path_of(path, dir, key, e));
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd >= 0 ? ERR_OK : made(-1, path, e);
}

// "process 123 (tranche run job.yaml) on host h since 2026-11-22 01:42:05 UTC"
static void sign(int fd)
{
    char who[500], cmd[200], host[65] = "?";
    time_t now = time(NULL);
    struct tm tm = { 0 };
    gmtime_r(&now, &tm);
    command(cmd);
    gethostname(host, sizeof host - 1);
    host[64] = '\0';
    int n = snprintf(who, sizeof who, "process %ld (%s) on host %s since ", (long)getpid(),
                     cmd, host);
    n += (int)strftime(who + n, sizeof who - (size_t)n, "%Y-%m-%d %H:%M:%S UTC\n", &tm);
    // A full disk costs only the holder's name.
    if (ftruncate(fd, 0) != 0 || pwrite(fd, who, (size_t)n, 0) != n)
        (void)!ftruncate(fd, 0);
}

err_t run_lock_try(struct run_lock **out, const char *dir, const char *key,
                   char who[RUN_LOCK_WHO], struct err *e)
{
    int fd;
    *out = NULL;
    who[0] = '\0';
    TRY(open_file(&fd, dir, key, e));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err_t rc = errno == EWOULDBLOCK
                       ? err_set(e, ERR_BUSY, "it is locked")
                       : err_sys(e,
                                 "cannot lock a file in %s/locks (a file system that "
                                 "knows no locks? TRANCHE_HOME can name another folder)",
                                 dir);
        if (rc == ERR_BUSY) line_of(fd, who, RUN_LOCK_WHO);
        close(fd);
        return rc;
    }
    struct run_lock *l = malloc(sizeof *l);
    if (!l) {
        close(fd);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    sign(fd);
    l->fd = fd;
    *out = l;
    return ERR_OK;
}

err_t run_lock_take(struct run_lock **out, const char *dir, const char *key, struct err *e)
{
    char who[RUN_LOCK_WHO];
    err_t rc = run_lock_try(out, dir, key, who, e);
    if (rc != ERR_BUSY) return rc;
    return err_set(e, ERR_BUSY,
                   "another run of this load is going on%s%s; wait for it or stop it",
                   who[0] ? ": " : "", who);
}

bool run_lock_is_taken(const char *dir, const char *key)
{
    char path[LOCK_PATH];
    if (path_of(path, dir, key, NULL) != ERR_OK) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool taken = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) close(fd);
    return taken;
}

int run_lock_fd(const struct run_lock *l)
{
    return l->fd;
}

void run_lock_release(struct run_lock **l)
{
    if (!*l) return;
    (void)!ftruncate((*l)->fd, 0); // the file itself stays: removing it would race
    close((*l)->fd);
    free(*l);
    *l = NULL;
}

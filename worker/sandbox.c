#include "worker/sandbox.h"

#include "worker/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

bool sandbox_without_landlock, sandbox_without_namespaces;

// Newer than the headers of Debian 12 in part; the kernel's numbers never change.
enum {
    ABI_REFER = 2,
    ABI_TRUNCATE = 3,
    ABI_NET = 4,
    ABI_SCOPE = 6,
};
static const uint64_t FS_REFER = 1ull << 13, FS_TRUNCATE = 1ull << 14;
static const uint64_t NET_BIND_CONNECT = 3, SCOPE_SOCKETS_SIGNALS = 3;

struct ruleset { // struct landlock_ruleset_attr of ABI 6
    uint64_t fs, net, scoped;
};

static const uint64_t READS =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t WRITES =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
static const uint64_t OF_FILES = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE;

static int landlock_abi(void)
{
    if (sandbox_without_landlock) return 0;
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* its version */);
    return abi < 0 ? 0 : (int)abi;
}

static uint64_t writes_of(int abi)
{
    return WRITES | (abi >= ABI_REFER ? FS_REFER : 0) |
           (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0);
}

static err_t allow(int rules, const char *path, uint64_t access, struct err *e)
{
    struct stat st;
    struct landlock_path_beneath_attr rule = { .allowed_access = access };
    rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) return ERR_OK; // there is nothing to allow
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES | FS_TRUNCATE;
    long rc = rule.allowed_access ? syscall(SYS_landlock_add_rule, rules,
                                            LANDLOCK_RULE_PATH_BENEATH, &rule, 0)
                                  : 0;
    int error = errno;
    close(rule.parent_fd);
    errno = error;
    return rc ? err_sys(e, "no sandbox: %s", path) : ERR_OK;
}

static err_t allow_all(int rules, const char *const *paths, size_t n, uint64_t access,
                       struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (paths[i] && *paths[i]) TRY(allow(rules, paths[i], access, e));
    return ERR_OK;
}

#define ALL(list) list, sizeof(list) / sizeof *(list)

static err_t add_rules(const struct sandbox *b, int abi, uint64_t handled,
                       const char *scratch, const char *const *paths, size_t n,
                       struct err *e)
{
    static const char *const devices[] = { "/dev/null",   "/dev/zero",    "/dev/full",
                                           "/dev/random", "/dev/urandom", "/dev/tty" };
    static const char *const system[] = { "/usr",   "/bin", "/sbin", "/lib",  "/lib32",
                                          "/lib64", "/opt", "/etc",  "/proc", "/sys" };
    const char *const rooms[] = { scratch, "/dev/shm" };
    TRY(allow_all(b->rules, ALL(rooms), handled, e));
    TRY(allow_all(b->rules, ALL(devices),
                  handled & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                             (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0)),
                  e));
    if (b->level != STEP_STRICT) return ERR_OK;
    TRY(allow_all(b->rules, ALL(system), READS, e));
    return allow_all(b->rules, paths, n, READS, e);
}

static err_t open_rules(struct sandbox *b, int abi, const char *scratch,
                        const char *const *paths, size_t n, struct err *e)
{
    bool strict = b->level == STEP_STRICT;
    struct ruleset r = { .fs = writes_of(abi) | (strict ? READS : 0) };
    if (strict && abi >= ABI_NET) r.net = NET_BIND_CONNECT;
    if (strict && abi >= ABI_SCOPE) r.scoped = SCOPE_SOCKETS_SIGNALS;
    size_t size = abi >= ABI_SCOPE ? sizeof r : abi >= ABI_NET ? 16 : 8;
    b->rules = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (b->rules < 0) return err_sys(e, "no sandbox: Landlock refused its rules");
    fcntl(b->rules, F_SETFD, FD_CLOEXEC);
    return add_rules(b, abi, r.fs, scratch, paths, n, e);
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = strlen(text);
    bool ok = write(fd, text, n) == (ssize_t)n;
    close(fd);
    return ok;
}

static void map_self(char *text, size_t size, unsigned id)
{
    snprintf(text, size, "%u %u 1", id, id);
}

// No network but a loopback that is down, no System V IPC of others. The user stays who he
// is.
static bool leave_namespaces(void)
{
    char uid[40], gid[40];
    map_self(uid, sizeof uid, getuid());
    map_self(gid, sizeof gid, getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC)) return false;
    (void)write_text("/proc/self/setgroups", "deny");
    return write_text("/proc/self/uid_map", uid) && write_text("/proc/self/gid_map", gid);
}

// Whether this host lets an ordinary process do it: the only way to know is to try.
static bool namespaces_work(void)
{
    if (sandbox_without_namespaces) return false;
    pid_t pid = fork();
    if (pid == 0) _exit(leave_namespaces() ? 0 : 1);
    int status = 1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static err_t check_strict(int abi, struct err *e)
{
    static const char advice[] = "use sandbox: default or none on this host";
    if (!abi)
        return err_set(e, ERR_TRANSFORM,
                       "sandbox: strict needs Landlock (Linux 5.13 or newer, switched on), "
                       "which is not to be had here; %s",
                       advice);
    if (!syscalls_can_be_filtered())
        return err_set(e, ERR_TRANSFORM,
                       "sandbox: strict needs seccomp filters, which this kernel or "
                       "processor does not have; %s",
                       advice);
    if (!namespaces_work())
        return err_set(e, ERR_TRANSFORM,
                       "sandbox: strict needs user namespaces, which are not allowed here "
                       "(in a container, or kernel.unprivileged_userns_clone = 0); %s",
                       advice);
    return ERR_OK;
}

static void say(struct sandbox *b, int abi)
{
    if (b->level == STEP_UNBOXED)
        snprintf(b->said, sizeof b->said, "none");
    else if (b->level == STEP_STRICT)
        snprintf(b->said, sizeof b->said,
                 "strict: no network, reads the system and the job's folder, writes its "
                 "scratch folder");
    else if (abi)
        snprintf(b->said, sizeof b->said, "default: writes its scratch folder only");
    else
        snprintf(b->said, sizeof b->said,
                 "none, though the default was wanted: this host has no Landlock");
}

err_t sandbox_open(struct sandbox *b, enum step_sandbox level, const char *scratch,
                   const char *const *paths, size_t n, struct err *e)
{
    *b = (struct sandbox){ .level = level, .rules = -1 };
    int abi = level == STEP_UNBOXED ? 0 : landlock_abi();
    if (level == STEP_STRICT) TRY(check_strict(abi, e));
    say(b, abi);
    err_t rc = abi ? open_rules(b, abi, scratch, paths, n, e) : ERR_OK;
    if (rc != ERR_OK) sandbox_close(b);
    return rc;
}

void sandbox_close(struct sandbox *b)
{
    if (b->rules >= 0) close(b->rules);
    b->rules = -1;
}

bool sandbox_enter(const struct sandbox *b)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    bool strict = b->level == STEP_STRICT;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return false;
    if (strict && !leave_namespaces()) return false;
    // A new user namespace is a new uid as far as this signal is concerned.
    if (strict) prctl(PR_SET_PDEATHSIG, 9);
    if (b->rules >= 0 && syscall(SYS_landlock_restrict_self, b->rules, 0)) return false;
    return !strict || syscalls_filter();
}

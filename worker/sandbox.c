#include "worker/sandbox.h"

#include "worker/space.h"
#include "worker/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool sandbox_without_landlock;

// Newer than the headers of Debian 12 in part; the kernel's numbers never change.
enum {
    ABI_REFER = 2,
    ABI_TRUNCATE = 3,
    ABI_NET = 4,
    ABI_SCOPE = 6,
};
enum { PROCESSES_MAX = 1024 };
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

static err_t add_rooms(int rules, int abi, uint64_t handled, const char *const *rooms,
                       size_t n, struct err *e)
{
    static const char *const devices[] = { "/dev/null",   "/dev/zero",    "/dev/full",
                                           "/dev/random", "/dev/urandom", "/dev/tty" };
    TRY(allow_all(rules, rooms, n, handled, e));
    return allow_all(rules, ALL(devices),
                     handled &
                         (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                          (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0)),
                     e);
}

static err_t new_rules(int *rules, const struct ruleset *r, int abi, struct err *e)
{
    size_t size = abi >= ABI_SCOPE ? sizeof *r : abi >= ABI_NET ? 16 : 8;
    *rules = (int)syscall(SYS_landlock_create_ruleset, r, size, 0);
    if (*rules < 0) return err_sys(e, "no sandbox: Landlock refused its rules");
    fcntl(*rules, F_SETFD, FD_CLOEXEC);
    return ERR_OK;
}

static err_t open_boxed(struct sandbox *b, int abi, const char *scratch, struct err *e)
{
    const char *const rooms[] = { scratch, "/dev/shm" };
    struct ruleset r = { .fs = writes_of(abi) };
    TRY(new_rules(&b->rules, &r, abi, e));
    return add_rooms(b->rules, abi, r.fs, ALL(rooms), e);
}

// Its own /proc and /dev/shm are there only when the program's process is: so are these
// rules.
static err_t strict_rules(const struct sandbox *b, int abi, bool shm, int *rules,
                          struct err *e)
{
    static const char *const system[] = { "/usr",   "/bin", "/sbin", "/lib", "/lib32",
                                          "/lib64", "/opt", "/etc",  "/sys" };
    static const char *const proc[] = { "/proc" }, *const memory[] = { "/dev/shm" };
    struct ruleset r = { .fs = writes_of(abi) | READS };
    if (abi >= ABI_NET) r.net = NET_BIND_CONNECT;
    if (abi >= ABI_SCOPE) r.scoped = SCOPE_SOCKETS_SIGNALS;
    TRY(new_rules(rules, &r, abi, e));
    TRY(add_rooms(*rules, abi, r.fs, (const char *const *)b->rooms.v, b->rooms.n, e));
    if (shm) TRY(allow_all(*rules, ALL(memory), r.fs, e));
    TRY(allow_all(*rules, ALL(system), READS, e));
    if (b->proc) TRY(allow_all(*rules, ALL(proc), READS, e));
    return allow_all(*rules, (const char *const *)b->paths.v, b->paths.n, READS, e);
}

static err_t keep(struct strings *to, const char *path, struct err *e)
{
    return path && *path ? strings_add(to, path, strlen(path), e) : ERR_OK;
}

// The rules are tried once here, where there is somebody to tell.
static err_t open_strict(struct sandbox *b, int abi, const char *scratch,
                         const char *const *paths, size_t n, struct err *e)
{
    int rules = -1;
    TRY(keep(&b->rooms, scratch, e));
    for (size_t i = 0; i < n; i++)
        TRY(keep(&b->paths, paths[i], e));
    err_t rc = strict_rules(b, abi, true, &rules, e);
    if (rules >= 0) close(rules);
    return rc;
}

static err_t check_strict(int abi, enum space space, struct err *e)
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
    if (space == SPACE_NONE)
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
                 "strict: no network, no other processes, reads the system and the job's "
                 "folder%s, writes its scratch folder",
                 b->proc ? "" : " but not /proc");
    else if (abi)
        snprintf(b->said, sizeof b->said,
                 "default: writes its scratch folder and /dev/shm only");
    else
        snprintf(b->said, sizeof b->said,
                 "none, though the default was wanted: this host has no Landlock");
}

err_t sandbox_open(struct sandbox *b, enum step_sandbox level, const char *scratch,
                   const char *const *paths, size_t n, struct err *e)
{
    *b = (struct sandbox){ .level = level, .rules = -1 };
    int abi = level == STEP_UNBOXED ? 0 : landlock_abi();
    bool strict = level == STEP_STRICT;
    if (strict) {
        enum space space = space_to_be_had();
        TRY(check_strict(abi, space, e));
        b->proc = space == SPACE_WHOLE;
    }
    say(b, abi);
    err_t rc = ERR_OK;
    if (strict)
        rc = open_strict(b, abi, scratch, paths, n, e);
    else if (abi)
        rc = open_boxed(b, abi, scratch, e);
    if (rc != ERR_OK) sandbox_close(b);
    return rc;
}

void sandbox_close(struct sandbox *b)
{
    if (b->rules >= 0) close(b->rules);
    b->rules = -1;
    strings_free(&b->rooms);
    strings_free(&b->paths);
}

// A fork bomb stays small. Before Linux 5.14, which is older than this ABI, the limit
// counted all processes of the user.
static void limit_processes(int abi)
{
    struct rlimit most = { PROCESSES_MAX, PROCESSES_MAX };
    if (abi >= ABI_REFER) setrlimit(RLIMIT_NPROC, &most);
}

static bool enter_strict(const struct sandbox *b)
{
    int abi = landlock_abi(), rules = -1;
    bool shm = false;
    if (!space_enter(b->proc, &shm)) return false;
    if (strict_rules(b, abi, shm, &rules, NULL) != ERR_OK) return false;
    if (syscall(SYS_landlock_restrict_self, rules, 0)) return false;
    close(rules);
    limit_processes(abi);
    return syscalls_filter(SYSCALLS_PROGRAM);
}

bool sandbox_enter(const struct sandbox *b)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return false;
    if (b->level == STEP_STRICT) return enter_strict(b);
    return b->rules < 0 || syscall(SYS_landlock_restrict_self, b->rules, 0) == 0;
}

// What no rule allows is refused. An aggregate that outgrows its memory needs a temporary
// file (common/spill).
static bool write_nothing(bool but_temporary)
{
    const char *const rooms[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
    int abi = landlock_abi(), rules = -1;
    struct ruleset r = { .fs = writes_of(abi) | LANDLOCK_ACCESS_FS_EXECUTE };
    if (abi >= ABI_NET) r.net = NET_BIND_CONNECT;
    if (abi >= ABI_SCOPE) r.scoped = SCOPE_SOCKETS_SIGNALS;
    if (!abi || new_rules(&rules, &r, abi, NULL) != ERR_OK) return false;
    bool done =
        !but_temporary || allow_all(rules, ALL(rooms), writes_of(abi), NULL) == ERR_OK;
    done = done && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return done;
}

void sandbox_runner(const struct spec *spec)
{
    bool alone = true;
    for (size_t i = 0; i < spec->n_steps; i++) {
        if (spec->steps[i].kind == STEP_EXEC) return;
        alone &= spec->steps[i].kind == STEP_SQL || spec->steps[i].kind == STEP_FORECAST;
    }
    (void)(alone && write_nothing(agg_given(&spec->aggregate)));
    (void)syscalls_filter(alone ? SYSCALLS_ALONE : SYSCALLS_LIBRARY);
}

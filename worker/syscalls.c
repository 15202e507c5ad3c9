#include "worker/syscalls.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH

static const int refused[] = {
#ifndef __SANITIZE_ADDRESS__ // which looks for leaks with it when a library calls exit()
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_bpf,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    SYS_userfaultfd,
    SYS_perf_event_open,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_clock_adjtime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_syslog,
    SYS_vhangup,
    SYS_lookup_dcookie,
    SYS_fanotify_init,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
};

static const int refused_alone[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_execve,
    SYS_execveat,
    SYS_tkill,
    SYS_pidfd_send_signal,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
#ifdef __x86_64__
    SYS_fork,
    SYS_vfork,
#endif
};
enum {
    N_REFUSED = sizeof refused / sizeof *refused,
    N_ALONE = sizeof refused_alone / sizeof *refused_alone,
};

#define LOAD(what) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, what))
#define LOW(i) args[i] // little-endian: the low half comes first
// Skips `n` instructions unless equal.
#define UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define GIVE(what)       BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE           GIVE(SECCOMP_RET_ERRNO | EPERM)

#define NEW_NAMESPACES                                                          \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | \
     CLONE_NEWUTS | CLONE_NEWCGROUP)

static const struct sock_filter head[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
    GIVE(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
#ifdef __x86_64__
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), // x32 has other numbers
    GIVE(SECCOMP_RET_ERRNO | ENOSYS),
#endif
    UNLESS(SYS_clone3, 1),
    GIVE(SECCOMP_RET_ERRNO | ENOSYS),
    UNLESS(SYS_ioctl, 4),
    LOAD(LOW(1)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 0, 1),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
};

static const struct sock_filter no_namespaces[] = {
    UNLESS(SYS_clone, 4),
    LOAD(LOW(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
};

// Sockets of services are files, which a network namespace does not hide and Landlock does
// not guard: the user's bus starts programs outside of every sandbox. Who cannot connect,
// nor send a datagram to an address, reaches none of them.
static const int refused_program[] = { SYS_connect };

static const struct sock_filter only_streams[] = {
    LOAD(LOW(0)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 4),
    LOAD(LOW(1)),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf), // above it are flags
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_SEQPACKET, 1, 0),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
};

enum { N_STREAMS = sizeof only_streams / sizeof *only_streams };

static const struct sock_filter only_threads[] = {
    UNLESS(SYS_clone, 4),
    LOAD(LOW(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
};

struct code {
    struct sock_filter v[256];
    unsigned short n;
};

static void add(struct code *c, const struct sock_filter *v, size_t n)
{
    assert(c->n + n <= sizeof c->v / sizeof *c->v);
    for (size_t i = 0; i < n; i++)
        c->v[c->n++] = v[i];
}

static void refuse(struct code *c, const int *nr, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add(c, (struct sock_filter[]){ UNLESS(nr[i], 1), REFUSE }, 2);
}

static void no_network(struct code *c)
{
    static const int calls[] = { SYS_socket, SYS_socketpair };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        add(c, (struct sock_filter[]){ UNLESS(calls[i], N_STREAMS) }, 1);
        add(c, only_streams, N_STREAMS);
    }
    refuse(c, refused_program, sizeof refused_program / sizeof *refused_program);
}

// abort(3) and a process that ends itself are fine.
static void only_signals_to(struct code *c, pid_t self)
{
    static const int calls[] = { SYS_kill, SYS_tgkill };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        add(c,
            (struct sock_filter[]){
                UNLESS(calls[i], 4), LOAD(LOW(0)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)self, 1, 0), REFUSE,
                GIVE(SECCOMP_RET_ALLOW) },
            5);
}

#define ALL(list) list, sizeof(list) / sizeof *(list)

static void write_code(struct code *c, enum syscalls kind)
{
    add(c, ALL(head));
    if (kind == SYSCALLS_ALONE) {
        add(c, ALL(only_threads));
        only_signals_to(c, getpid());
        refuse(c, refused_alone, N_ALONE);
    } else {
        add(c, ALL(no_namespaces));
        if (kind == SYSCALLS_PROGRAM) no_network(c);
    }
    refuse(c, refused, N_REFUSED);
    add(c, (struct sock_filter[]){ GIVE(SECCOMP_RET_ALLOW) }, 1);
}

bool syscalls_can_be_filtered(void)
{
    return prctl(PR_GET_SECCOMP) >= 0;
}

// Before Linux 5.16 a filter made speculation, and with it everything, slower unless it
// said that it has no need of that.
bool syscalls_filter(enum syscalls kind)
{
    static struct code c;
    c.n = 0;
    write_code(&c, kind);
    struct sock_fprog program = { c.n, c.v };
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                   &program) == 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

bool syscalls_can_be_filtered(void)
{
    return false;
}

bool syscalls_filter(enum syscalls kind)
{
    (void)kind;
    errno = ENOSYS;
    return false;
}

#endif

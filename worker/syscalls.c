#include "worker/syscalls.h"

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

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef ARCH

static const int refused[] = {
    SYS_ptrace,
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
enum { N_REFUSED = sizeof refused / sizeof *refused };

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
    UNLESS(SYS_clone, 4),
    LOAD(LOW(0)),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
    UNLESS(SYS_socket, 4),
    LOAD(LOW(0)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
    UNLESS(SYS_ioctl, 4),
    LOAD(LOW(1)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 0, 1),
    REFUSE,
    GIVE(SECCOMP_RET_ALLOW),
};
enum { N_HEAD = sizeof head / sizeof *head };

bool syscalls_can_be_filtered(void)
{
    return prctl(PR_GET_SECCOMP) >= 0;
}

bool syscalls_filter(void)
{
    static struct sock_filter code[N_HEAD + 2 * N_REFUSED + 1];
    struct sock_fprog program = { .filter = code };
    for (int i = 0; i < N_HEAD; i++)
        code[program.len++] = head[i];
    for (int i = 0; i < N_REFUSED; i++) {
        code[program.len++] = (struct sock_filter)UNLESS(refused[i], 1);
        code[program.len++] = (struct sock_filter)REFUSE;
    }
    code[program.len++] = (struct sock_filter)GIVE(SECCOMP_RET_ALLOW);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

bool syscalls_can_be_filtered(void)
{
    return false;
}

bool syscalls_filter(void)
{
    errno = ENOSYS;
    return false;
}

#endif

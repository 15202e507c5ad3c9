#include "coordinator/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST_BYTES = 4096, LAST_LINES = 4 };
static const ns_t CALL_MAX = 120 * NS_S;

// ---- words ----

err_t engine_add(struct strings *command, struct err *e, const char *word, ...)
{
    err_t rc = ERR_OK;
    va_list ap;
    va_start(ap, word);
    for (; word && rc == ERR_OK; word = va_arg(ap, const char *))
        rc = strings_add(command, word, strlen(word), e);
    va_end(ap);
    return rc;
}

err_t engine_addf(struct strings *command, struct err *e, const char *fmt, ...)
{
    char *word = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&word, fmt, ap);
    va_end(ap);
    if (n < 0) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = strings_add(command, word, (size_t)n, e);
    free(word);
    return rc;
}

err_t engine_add_all(struct strings *command, char *const *words, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(strings_add(command, words[i], strlen(words[i]), e));
    return ERR_OK;
}

err_t engine_quote(struct buf *out, const char *word, struct err *e)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./:=,@%+";
    size_t n = strlen(word);
    if (n && strspn(word, plain) == n) return buf_add(out, word, n, e);
    TRY(buf_add(out, "'", 1, e));
    for (const char *p = word; *p; p++)
        TRY(*p == '\'' ? buf_add(out, "'\\''", 4, e) : buf_add(out, p, 1, e));
    return buf_add(out, "'", 1, e);
}

err_t engine_text(struct buf *out, const struct strings *command, struct err *e)
{
    for (size_t i = 0; i < command->n; i++) {
        if (i) TRY(buf_add(out, " ", 1, e));
        TRY(engine_quote(out, command->v[i], e));
    }
    return ERR_OK;
}

err_t engine_show(const struct strings *command, FILE *to, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = engine_text(&text, command, e);
    if (rc == ERR_OK) rc = buf_add(&text, "\n", 1, e);
    if (rc == ERR_OK && fwrite(text.p, 1, text.n, to) != text.n)
        rc = err_sys(e, "cannot write to standard output");
    buf_free(&text);
    return rc;
}

// ---- the child's side ----

static void become(char **argv, const struct engine_child *c, int input, int report)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0 && dup2(input >= 0 ? input : nowhere, STDIN_FILENO) >= 0 &&
        dup2(c->out >= 0 ? c->out : nowhere, STDOUT_FILENO) >= 0 &&
        dup2(c->errors, STDERR_FILENO) >= 0)
        execvp(argv[0], argv);
    int why = errno;
    if (write(report, &why, sizeof why) < 0) _exit(126);
    _exit(127);
}

// ---- starting ----

static void close_one(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void close_all(struct engine_child *c)
{
    close_one(&c->input);
    close_one(&c->out);
    close_one(&c->errors);
}

// *input is what its standard input is made of; it is open already, or -1.
static err_t open_files(struct engine_child *c, unsigned keep, int *input, int report[2],
                        struct err *e)
{
    int to[2];
    c->errors = memfd_create("errors", MFD_CLOEXEC);
    if (keep & ENGINE_OUT) c->out = memfd_create("out", MFD_CLOEXEC);
    bool ok = c->errors >= 0 && (c->out >= 0 || !(keep & ENGINE_OUT));
    if (ok && keep & ENGINE_INPUT) {
        ok = pipe2(to, O_CLOEXEC) == 0;
        if (ok) *input = to[0], c->input = to[1];
    }
    ok = ok && pipe2(report, O_CLOEXEC) == 0;
    return ok ? ERR_OK : err_sys(e, "no file can be opened");
}

// What stands in the way of execvp comes back through the pipe, which success closes.
static err_t begun(struct engine_child *c, const char *program, int report, struct err *e)
{
    int why = 0, status;
    ssize_t n;
    while ((n = read(report, &why, sizeof why)) < 0 && errno == EINTR) {
    }
    if (n != sizeof why) return ERR_OK;
    waitpid(c->pid, &status, 0);
    c->pid = 0;
    errno = why;
    return err_sys(e, "cannot start %s", program);
}

// Closes `input`.
static err_t start(const struct strings *command, unsigned keep, int input,
                   struct engine_child *out, struct err *e)
{
    int report[2] = { -1, -1 };
    char **argv = calloc(command->n + 1, sizeof *argv);
    *out = (struct engine_child){ .input = -1, .out = -1, .errors = -1 };
    if (argv && command->n) memcpy(argv, command->v, command->n * sizeof *argv);
    err_t rc = argv ? open_files(out, keep, &input, report, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) {
        out->pid = fork();
        if (out->pid == 0) become(argv, out, input, report[1]);
        if (out->pid < 0) {
            out->pid = 0;
            rc = err_sys(e, "cannot start %s", argv[0]);
        }
    }
    close_one(&input);
    close_one(&report[1]);
    if (rc == ERR_OK) rc = begun(out, argv[0], report[0], e);
    close_one(&report[0]);
    if (rc != ERR_OK) close_all(out);
    free(argv);
    return rc;
}

err_t engine_start(const struct strings *command, unsigned keep, struct engine_child *out,
                   struct err *e)
{
    return start(command, keep, -1, out, e);
}

// ---- its end ----

static int code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool engine_ended(struct engine_child *c, int *code)
{
    int status;
    if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid) return false;
    *code = code_of(status);
    c->pid = 0;
    return true;
}

// Without a descriptor for it, it is asked again and again.
bool engine_wait(struct engine_child *c, ns_t at_most, int *code)
{
    enum { ASK_MS = 10 };
    ns_t until = clock_ns() + at_most, left;
    int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    struct pollfd p = { fd, POLLIN, 0 };
    bool ended;
    while (!(ended = engine_ended(c, code)) && c->pid && (left = until - clock_ns()) > 0)
        poll(&p, 1, fd >= 0 || left < ASK_MS * NS_MS ? (int)(left / NS_MS) + 1 : ASK_MS);
    close_one(&fd);
    return ended;
}

void engine_signal(const struct engine_child *c, int signo)
{
    if (c->pid) kill(-c->pid, signo);
}

void engine_forget(struct engine_child *c)
{
    int status;
    if (c->pid) {
        engine_signal(c, SIGKILL);
        waitpid(c->pid, &status, 0);
        c->pid = 0;
    }
    close_all(c);
}

// ---- what it said ----

static size_t read_end(int fd, char *out, size_t size)
{
    off_t end = lseek(fd, 0, SEEK_END), from = end > (off_t)size ? end - (off_t)size : 0;
    ssize_t n = end > 0 ? pread(fd, out, size, from) : 0;
    return n > 0 ? (size_t)n : 0;
}

void engine_last_lines(int fd, char out[ENGINE_SAID])
{
    char text[LAST_BYTES + 1];
    size_t n = fd >= 0 ? read_end(fd, text, LAST_BYTES) : 0;
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    text[n] = 0;
    char *from = text + n;
    for (int lines = 0; from > text; from--)
        if (from[-1] == '\n' && ++lines == LAST_LINES) break;
    if (n - (size_t)(from - text) > ENGINE_SAID / 2) from = text + n - ENGINE_SAID / 2;
    size_t k = 0;
    for (; *from && k + 3 < ENGINE_SAID; from++) {
        if (*from == '\n') {
            out[k++] = ';';
            out[k++] = ' ';
        } else if (*from != '\r') {
            out[k++] = (unsigned char)*from < ' ' || *from == 0x7f ? '?' : *from;
        }
    }
    out[k] = 0;
}

void engine_said(const struct engine_child *c, char out[ENGINE_SAID])
{
    engine_last_lines(c->errors, out);
}

static err_t read_all(int fd, struct buf *out, struct err *e)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0) return err_sys(e, "its answer cannot be read");
    if (end > ENGINE_OUT_MAX)
        return err_set(e, ERR_TOOBIG, "its answer is longer than %d MiB",
                       ENGINE_OUT_MAX >> 20);
    TRY(buf_reserve(out, (size_t)end + 1, e));
    while (out->n < (size_t)end) {
        ssize_t n = pread(fd, out->p + out->n, (size_t)end - out->n, (off_t)out->n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(e, "its answer cannot be read");
        out->n += (size_t)n;
    }
    out->p[out->n] = 0;
    return ERR_OK;
}

// Waits for its end, and forgets it.
static err_t ends(struct engine_child *c, const char *program, struct buf *out,
                  struct err *e)
{
    char said[ENGINE_SAID];
    int code;
    err_t rc;
    bool ended = engine_wait(c, CALL_MAX, &code);
    engine_said(c, said);
    if (!ended)
        rc = err_set(e, ERR_IO, "%s did not end within %d s%s%s", program,
                     (int)(CALL_MAX / NS_S), said[0] ? ": " : "", said);
    else if (code != 0)
        rc = err_set(e, ERR_IO, "%s ended with code %d%s%s", program, code,
                     said[0] ? ": " : "", said);
    else
        rc = out ? read_all(c->out, out, e) : ERR_OK;
    engine_forget(c);
    return rc;
}

err_t engine_call(const struct strings *command, struct buf *out, struct err *e)
{
    struct engine_child c;
    TRY(engine_start(command, out ? ENGINE_OUT : 0, &c, e));
    return ends(&c, command->v[0], out, e);
}

// Written before there is anybody to read it: a part of it would be taken for all.
static err_t put_input(int fd, struct slice input, struct err *e)
{
    for (size_t n = 0; n < input.n;) {
        ssize_t k = write(fd, input.p + n, input.n - n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(e, "cannot hand its input over");
        n += (size_t)k;
    }
    return lseek(fd, 0, SEEK_SET) == 0 ? ERR_OK : err_sys(e, "cannot hand its input over");
}

err_t engine_give(const struct strings *command, struct slice input, struct err *e)
{
    struct engine_child c;
    int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) return err_sys(e, "cannot hand its input over");
    err_t rc = put_input(fd, input, e);
    if (rc != ERR_OK) {
        close(fd);
        return rc;
    }
    TRY(start(command, 0, fd, &c, e));
    return ends(&c, command->v[0], NULL, e);
}

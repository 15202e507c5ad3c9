#include "coordinator/serve_impl.h"

#include "coordinator/report.h"
#include "coordinator/serve_job.h"
#include "proto/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LOCK_PATIENCE_MS = 2000, // another one may just be leaving
    ORPHANS_MS = 30000,      // the jobs of one that died are on their way out
    HWM = 1024,
    TAKE_HWM = 4,
    CONNECTIONS_MAX = 200,
    LINGER_MS = 500,
    QUEUE_PATIENCE_S = 30, // of a server that stops, with a queue that cannot be written
};
static const ns_t TICK = NS_S;
static const ns_t PATIENCE = NS_S / 2; // a signal often comes twice: to process and group

void serve_say(struct serve *s, const char *event, int64_t id, const char *text)
{
    char job[40] = "";
    if (s->opts->output == OUTPUT_QUIET) return;
    if (s->opts->output == OUTPUT_JSON) {
        fprintf(stdout, "{\"event\":\"%s\",\"job\":%lld,\"text\":", event, (long long)id);
        json_string(text, stdout);
        fputs("}\n", stdout);
        fflush(stdout);
        return;
    }
    if (id) snprintf(job, sizeof job, "job %lld ", (long long)id);
    say_to(stderr, "tranche: %s%s\n", job, text);
}

void serve_trouble(struct serve *s, const struct err *e)
{
    if (strcmp(s->said, e->text) == 0) return;
    snprintf(s->said, sizeof s->said, "%s", e->text);
    say_to(stderr, "tranche: %s; trying again\n", e->text);
}

// ---- opening ----

static err_t make_folder(const char *path, struct err *e)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return ERR_OK;
    return err_sys(e, "cannot make the folder %s", path);
}

// Jobs run in other folders, and are to find it, too.
static err_t settle_state(struct serve *s, struct err *e)
{
    char path[SERVE_PATH + 16];
    TRY(make_folder(s->opts->state, e));
    char *full = realpath(s->opts->state, NULL);
    if (!full) return err_sys(e, "cannot find the folder %s", s->opts->state);
    bool fits = strlen(full) < sizeof s->state;
    if (fits) strcpy(s->state, full);
    free(full);
    if (!fits) return err_set(e, ERR_TOOBIG, "%.100s...: the path is too long", s->state);
    snprintf(path, sizeof path, "%s/" SERVE_FOLDER, s->state);
    TRY(make_folder(path, e));
    snprintf(s->logs, sizeof s->logs, "%s/logs", path);
    TRY(make_folder(s->logs, e));
    if (setenv("TRANCHE_HOME", s->state, 1) != 0 || chdir(s->state) != 0)
        return err_sys(e, "cannot work in %s", s->state);
    return ERR_OK;
}

static bool is_gone(const char *who)
{
    long pid;
    return sscanf(who, "process %ld", &pid) == 1 && pid > 0 && kill((pid_t)pid, 0) != 0 &&
           errno == ESRCH;
}

// The jobs of a server that was killed hold its lock until they are gone, too: nothing of
// them may be begun before.
static err_t take_lock(struct serve *s, struct err *e)
{
    char who[RUN_LOCK_WHO];
    bool said = false;
    for (ns_t since = clock_ns();;) {
        err_t rc = run_lock_try(&s->lock, s->state, SERVE_LOCK, who, e);
        if (rc != ERR_BUSY) return rc;
        bool gone = is_gone(who);
        ns_t waited = (clock_ns() - since) / NS_MS;
        if (waited > (gone ? ORPHANS_MS : LOCK_PATIENCE_MS))
            return err_set(e, ERR_BUSY,
                           gone ? "the jobs of an earlier server for %s are still there "
                                  "(it was %s)"
                                : "another server has %s: %s; stop it first, or give this "
                                  "one another --state",
                           s->state, who[0] ? who : "it does not say which");
        if (gone && !said)
            serve_say(s, "wait", 0, "an earlier server was killed: its jobs are ending");
        said |= gone;
        nanosleep(&(struct timespec){ .tv_nsec = 10 * NS_MS }, NULL);
    }
}

static err_t open_backlog(struct serve *s, struct err *e)
{
    char note[1024], line[120];
    uint32_t n;
    TRY(backlog_open(&s->backlog, s->state, note, sizeof note, e));
    if (note[0]) {
        serve_say(s, "note", 0, note);
        serve_say(s, "note", 0, "the queue was in it: submit again what had not ended");
    }
    TRY(backlog_recover(s->backlog, &n, e));
    snprintf(line, sizeof line, "%u job%s had begun, and will go on", n, n == 1 ? "" : "s");
    if (n) serve_say(s, "recovered", 0, line);
    return ERR_OK;
}

// As nohup has it. A blocked signal would come all the same.
static bool is_ignored(int signo)
{
    struct sigaction now;
    return sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static err_t open_signals(struct serve *s, struct err *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (!is_ignored(SIGHUP)) sigaddset(&set, SIGHUP);
    signal(SIGCHLD, SIG_DFL); // who started us may have ignored it
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL); // before there are threads
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? err_sys(e, "cannot receive signals") : ERR_OK;
}

// Whoever can enter it can submit programs, which run as we do.
static err_t check_folder(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return err_sys(e, "cannot open %s", path);
    if (st.st_uid == geteuid() && !(st.st_mode & (S_IRWXG | S_IRWXO))) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s is open to other users, who could submit jobs there: make it yours "
                   "(chown) and yours alone (chmod 700)",
                   path);
}

// The path of a socket has 107 bytes at most, and that of the folder may be longer.
static err_t open_local(struct serve *s, struct err *e)
{
    char path[SERVE_PATH + 16], endpoint[64];
    struct link_opts o = { .message_max_bytes = SERVE_MESSAGE_MAX, .hwm = HWM };
    snprintf(path, sizeof path, "%s/" SERVE_FOLDER, s->state);
    s->folder = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->folder < 0) return err_sys(e, "cannot open %s", path);
    TRY(check_folder(s->folder, path, e));
    snprintf(endpoint, sizeof endpoint, "ipc:///proc/self/fd/%d/socket", s->folder);
    err_t rc = link_listen(&s->link[SERVE_IPC], endpoint, &o, e);
    return rc == ERR_OK ? rc : err_wrap(e, rc, "%s", path);
}

static err_t open_tcp(struct serve *s, struct err *e)
{
    char dir[SERVE_PATH + 16], line[400];
    struct link_opts o = { .message_max_bytes = SERVE_MESSAGE_MAX,
                           .hwm = HWM,
                           .take_hwm = TAKE_HWM,
                           .connections_max = CONNECTIONS_MAX,
                           .keys = &s->keys };
    if (!s->opts->listen) return ERR_OK;
    TRY(endpoint_check_tcp(s->opts->listen, true, e));
    snprintf(dir, sizeof dir, "%s/keys", s->state);
    TRY(keys_coordinator(dir, false, &s->keys, e));
    snprintf(dir, sizeof dir, "%s/keys/clients", s->state);
    TRY(gate_open(&s->gate, dir, e));
    o.gate = s->gate;
    TRY(link_listen(&s->link[SERVE_TCP], s->opts->listen, &o, e));
    snprintf(line, sizeof line, "listening for clients on %s",
             link_endpoint(s->link[SERVE_TCP]));
    serve_say(s, "listening", 0, line);
    return ERR_OK;
}

static void name_owner(struct serve *s)
{
    const struct passwd *me = getpwuid(geteuid());
    if (me)
        snprintf(s->owner, sizeof s->owner, "%s", me->pw_name);
    else
        snprintf(s->owner, sizeof s->owner, "uid %u", (unsigned)geteuid());
}

// A job has the lock under a number that its process must be allowed to have.
static err_t allow_files(struct err *e)
{
    enum { LEAST = SERVE_JOB_LOCK + 56, GOOD = 1024 };
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return err_sys(e, "cannot find out how many files may be open");
    if (r.rlim_cur >= GOOD) return ERR_OK;
    r.rlim_cur = r.rlim_max < GOOD ? r.rlim_max : GOOD;
    if (r.rlim_cur >= LEAST && setrlimit(RLIMIT_NOFILE, &r) == 0) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%llu files may be open at a time, and jobs need %d: raise that limit "
                   "(ulimit -n)",
                   (unsigned long long)r.rlim_max, (int)LEAST);
}

// The server works in its state folder, and the file is named from where it was started.
static err_t find_token(struct serve *s, struct err *e)
{
    const char *file = s->opts->page_token;
    if (!file || (s->page_token = realpath(file, NULL))) return ERR_OK;
    return err_set(e, ERR_INVALID, "--page-token %s: %s", file, strerror(errno));
}

// Splits --page-host at its commas.
static err_t list_hosts(struct serve *s, const char *list[WEB_HOSTS + 1], struct err *e)
{
    uint32_t n = 0;
    char *rest;
    if (snprintf(s->hosts, sizeof s->hosts, "%s",
                 s->opts->page_host ? s->opts->page_host : "") >= (int)sizeof s->hosts)
        return err_set(e, ERR_INVALID, "--page-host is too long");
    for (char *h = strtok_r(s->hosts, ",", &rest); h; h = strtok_r(NULL, ",", &rest)) {
        if (n == WEB_HOSTS)
            return err_set(e, ERR_INVALID, "--page-host takes at most %d names", WEB_HOSTS);
        list[n++] = h;
    }
    list[n] = NULL;
    return ERR_OK;
}

static err_t open_page(struct serve *s, struct err *e)
{
    char line[200];
    const char *hosts[WEB_HOSTS + 1];
    struct web_opts o = {
        .listen = s->opts->page,
        .token_file = s->page_token,
        .hosts = hosts,
        .facts = { .version = TRANCHE_VERSION,
                   .state = s->state,
                   .since_ms = clock_wall_ms(),
                   .jobs = s->opts->jobs },
    };
    if (!s->opts->page) return ERR_OK;
    TRY(list_hosts(s, hosts, e));
    TRY(web_start(&s->web, &o, e));
    snprintf(line, sizeof line, "page: %s", web_address(s->web));
    serve_say(s, "page", 0, line);
    return ERR_OK;
}

static err_t open_all(struct serve *s, struct err *e)
{
    char line[SERVE_PATH + 40];
    TRY(allow_files(e));
    TRY(find_token(s, e));
    TRY(settle_state(s, e));
    TRY(take_lock(s, e));
    TRY(open_signals(s, e));
    TRY(open_backlog(s, e));
    name_owner(s);
    TRY(open_local(s, e));
    TRY(open_tcp(s, e));
    TRY(open_page(s, e));
    snprintf(line, sizeof line, "serving %s", s->state);
    serve_say(s, "ready", 0, line);
    return ERR_OK;
}

static void close_all(struct serve *s)
{
    web_stop(&s->web);
    for (int i = 0; i < SERVE_LINKS; i++)
        link_close(&s->link[i], LINGER_MS);
    gate_free(&s->gate);
    keys_wipe(&s->keys, sizeof s->keys);
    backlog_close(&s->backlog);
    if (s->signals >= 0) close(s->signals);
    if (s->folder >= 0) {
        unlinkat(s->folder, "socket", 0);
        close(s->folder);
    }
    free(s->page_token);
    run_lock_release(&s->lock);
}

// ---- the loop ----

// Running jobs end in order, and go on with the next server.
static void on_signal(struct serve *s, int signo)
{
    ns_t now = clock_ns();
    // Services are told to reload by it, terminals say that they go.
    if (signo == SIGHUP && (s->gate || !isatty(STDERR_FILENO))) {
        if (s->gate && gate_reload(s->gate, true, &s->scratch)) serve_mind_peers(s, now);
        return;
    }
    if (s->stopping && now - s->stop_asked >= PATIENCE) {
        s->hurry = true;
        serve_kill_children(s);
        return;
    }
    if (s->stopping) return;
    s->stopping = signo;
    s->stop_asked = now;
    serve_say(s, "stopping", 0,
              s->children ? "stopping: what runs is interrupted, and goes on with the next "
                            "server"
                          : "stopping");
    for (struct child *c = s->children; c; c = c->next)
        serve_stop_child(s, c);
}

// True: a child has ended. Other signals come first: a child that somebody stopped together
// with us did not come to its end.
static bool take_signals(struct serve *s)
{
    struct signalfd_siginfo si;
    bool ended = false;
    while (read(s->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGCHLD)
            ended = true;
        else
            on_signal(s, (int)si.ssi_signo);
    }
    return ended;
}

static void wait_for_events(struct serve *s, int ms)
{
    struct pollfd fds[1 + SERVE_LINKS + SERVE_JOBS_MAX];
    struct child *child[1 + SERVE_LINKS + SERVE_JOBS_MAX] = { 0 };
    nfds_t n = 0;
    fds[n++] = (struct pollfd){ .fd = s->signals, .events = POLLIN };
    for (int i = 0; i < SERVE_LINKS; i++)
        if (s->link[i])
            fds[n++] = (struct pollfd){ .fd = link_fd(s->link[i]), .events = POLLIN };
    for (struct child *c = s->children; c; c = c->next) {
        if (c->out < 0) continue;
        child[n] = c;
        fds[n++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
    }
    if (poll(fds, n, ms) <= 0) return;
    for (nfds_t i = 0; i < n; i++)
        if (child[i] && fds[i].revents) serve_hear_child(s, child[i]);
}

// False: how the last jobs ended can't be written, and who told us to stop waits.
static bool may_wait_for_queue(struct serve *s)
{
    ns_t now = clock_ns();
    if (!s->stopping || !s->children || !serve_all_over(s)) return true;
    if (!s->all_over) s->all_over = now;
    return !s->hurry && now - s->all_over < QUEUE_PATIENCE_S * NS_S;
}

// ERR_BUSY: it left without having written all.
static err_t loop(struct serve *s, struct err *e)
{
    s->look = true;
    ns_t next = clock_ns() + TICK;
    while (!s->stopping || s->children) {
        if (take_signals(s)) serve_reap(s);
        serve_record_ends(s);
        if (!may_wait_for_queue(s)) {
            uint32_t n = s->n_children;
            serve_leave_children(s);
            return err_set(e, ERR_BUSY,
                           "stopped without having written to runs.db how %u job%s ended "
                           "(%s); the next server queues %s again, and nothing is loaded "
                           "twice",
                           n, n == 1 ? "" : "s", s->said, n == 1 ? "it" : "them");
        }
        if (s->look) serve_begin_jobs(s);
        ns_t now = clock_ns();
        if (now >= next) {
            serve_mind_children(s, now);
            serve_mind_peers(s, now);
            s->look = true;
            next = now + TICK;
        }
        // Sending may eat the edge of ZeroMQ's descriptor: only when nothing is there after
        // it may we wait.
        bool more = serve_take_messages(s);
        ns_t left = (next - clock_ns()) / NS_MS;
        wait_for_events(s, more || left < 0 ? 0 : (int)left + 1);
    }
    return ERR_OK;
}

int serve_run(const struct serve_opts *o)
{
    struct serve *s = calloc(1, sizeof *s);
    struct err e;
    if (!s) {
        say_to(stderr, "tranche: out of memory\n");
        return CLI_INFRASTRUCTURE;
    }
    s->opts = o;
    s->signals = s->folder = -1;
    err_t rc = open_all(s, &e);
    if (rc == ERR_OK) rc = loop(s, &e);
    if (rc != ERR_OK) say_to(stderr, "tranche: serve: %s\n", e.text);
    if (rc == ERR_OK) serve_say(s, "stopped", 0, "stopped");
    close_all(s);
    free(s);
    return rc == ERR_OK ? CLI_OK : rc == ERR_INVALID ? CLI_USAGE : CLI_INFRASTRUCTURE;
}

#include "coordinator/web_impl.h"

#include "coordinator/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64, MEMORY = 20 << 10 /* of a connection: its headers, and ours */ };
static const ns_t LOOK_AFTER = NS_S / 4; // slow connections

// ---- connections ----

struct web_conn *web_conn_of(struct web *w, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        w->lib->get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (int k = 0; i && k < WEB_CONNECTIONS; k++)
        if (w->conn[k].fd == i->connect_fd) return &w->conn[k];
    return NULL;
}

static void name_own(struct web_conn *conn)
{
    union web_address a = { 0 };
    socklen_t n = sizeof a;
    conn->own[0] = 0;
    if (getsockname(conn->fd, &a.any, &n) == 0) web_address_host(&a, conn->own);
}

static void on_connection(void *arg, struct MHD_Connection *c, void **unused,
                          enum MHD_ConnectionNotificationCode what)
{
    struct web *w = arg;
    (void)unused;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct web_conn *conn = web_conn_of(w, c);
        if (conn) conn->fd = -1, w->n_conns--;
        return;
    }
    const union MHD_ConnectionInfo *i =
        w->lib->get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (int k = 0; i && k < WEB_CONNECTIONS; k++) {
        struct web_conn *conn = &w->conn[k];
        if (conn->fd >= 0) continue;
        *conn = (struct web_conn){ .fd = i->connect_fd, .since = clock_ns() };
        name_own(conn);
        w->n_conns++;
        return;
    }
}

// libmicrohttpd counts silences, and who sends a byte now and then is never silent.
static void mind_slow(struct web *w, ns_t now)
{
    bool crowded = w->n_conns == WEB_CONNECTIONS;
    for (int k = 0; k < WEB_CONNECTIONS; k++) {
        const struct web_conn *conn = &w->conn[k];
        ns_t ms = conn->answered ? WEB_ANSWER_MS : crowded ? WEB_CROWDED_MS : WEB_HEADER_MS;
        ns_t most = clock_protocol(ms * NS_MS);
        if (conn->fd >= 0 && !conn->stream && now - conn->since > most)
            shutdown(conn->fd, SHUT_RDWR);
    }
}

// ---- the thread ----

static int wait_ms(const struct web *w, ns_t now, ns_t next)
{
    MHD_UNSIGNED_LONG_LONG ms;
    ns_t left = next == NS_NEVER ? NS_NEVER : next > now ? (next - now) / NS_MS + 1 : 0;
    if (w->n_conns && left > LOOK_AFTER / NS_MS) left = LOOK_AFTER / NS_MS;
    if (w->lib->get_timeout(w->daemon, &ms) == MHD_YES && (uint64_t)left > ms)
        left = (ns_t)ms;
    return left > INT_MAX ? -1 : (int)left;
}

// When there were as many connections as there may be, the next are let in by the run after
// that in which one was closed.
static void handle_events(struct web *w)
{
    uint32_t before;
    do {
        before = w->n_conns;
        w->lib->run(w->daemon);
    } while (w->n_conns < before);
}

static void *run(void *arg)
{
    struct web *w = arg;
    struct pollfd fds[2] = { { .fd = w->stop, .events = POLLIN },
                             { .fd = w->events, .events = POLLIN } };
    while (!(fds[0].revents & POLLIN)) {
        // Who came while this thread was kept from running is heard before it counts as
        // slow.
        ns_t before = clock_ns();
        handle_events(w);
        mind_slow(w, before);
        ns_t now = clock_ns();
        ns_t next = web_events_tick(w, now);
        poll(fds, 2, wait_ms(w, now, next));
    }
    return NULL;
}

// ---- starting ----

static err_t open_listener(struct web *w, const union web_address *a, struct err *e)
{
    int on = 1;
    socklen_t n = a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
    char host[WEB_ADDRESS_TEXT];
    web_address_host(a, host);
    w->listener = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->listener >= 0) setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (w->listener < 0 || bind(w->listener, &a->any, n) != 0 ||
        listen(w->listener, BACKLOG) != 0)
        return err_sys(e, "the page cannot listen on %s:%u", host, web_address_port(a));
    union web_address got = *a;
    n = sizeof got;
    if (getsockname(w->listener, &got.any, &n) != 0)
        return err_sys(e, "the page's address");
    snprintf(w->address, sizeof w->address, "http://%s:%u/", host, web_address_port(&got));
    return ERR_OK;
}

// For scripts that let it choose a port.
static err_t write_address(struct web *w, struct err *e)
{
    char temp[sizeof w->file + 8];
    snprintf(temp, sizeof temp, "%s.new", w->file);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_sys(e, "cannot write %s", temp);
    bool ok = dprintf(fd, "%s\n", w->address) > 0;
    ok &= close(fd) == 0;
    if (ok && rename(temp, w->file) == 0) return ERR_OK;
    return err_sys(e, "cannot write %s", w->file);
}

static err_t take_hosts(struct web *w, const struct web_opts *o, struct err *e)
{
    uint32_t n = 0;
    for (const char *const *h = o->hosts; h && *h; h++) {
        if (n == WEB_HOSTS)
            return err_set(e, ERR_INVALID, "the page has at most %d names", WEB_HOSTS);
        w->hosts[n++] = *h;
    }
    return ERR_OK;
}

static err_t check_reach(const struct web_opts *o, const union web_address *a,
                         struct err *e)
{
    char host[WEB_ADDRESS_TEXT];
    if (o->token_file || web_address_is_loopback(a)) return ERR_OK;
    web_address_host(a, host);
    return err_set(e, ERR_INVALID,
                   "a page on %s can be reached from other hosts, and needs a token: "
                   "(umask 077; openssl rand -hex 32 >page.token), and --page-token "
                   "page.token",
                   host);
}

static err_t open_all(struct web *w, const struct web_opts *o, struct err *e)
{
    union web_address a;
    TRY(web_address_parse(o->listen, &a, e));
    TRY(check_reach(o, &a, e));
    TRY(take_hosts(w, o, e));
    if (o->token_file) TRY(web_token_read(&w->token, o->token_file, e));
    TRY(web_lib_get(&w->lib, e));
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->stop < 0) return err_sys(e, "the page");
    TRY(open_listener(w, &a, e));
    w->daemon = w->lib->start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, web_answer, w,
        MHD_OPTION_LISTEN_SOCKET, w->listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(WEB_ANSWER_MS / 1000),
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, w, MHD_OPTION_END);
    if (!w->daemon) return err_set(e, ERR_IO, "libmicrohttpd cannot start");
    w->listener = -1; // it closes that
    const union MHD_DaemonInfo *i =
        w->lib->get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!i || i->epoll_fd < 0) return err_set(e, ERR_IO, "libmicrohttpd has no epoll here");
    w->events = i->epoll_fd;
    return write_address(w, e);
}

err_t web_start(struct web **out, const struct web_opts *o, struct err *e)
{
    struct web *w = calloc(1, sizeof *w);
    *out = NULL;
    if (!w) return err_set(e, ERR_NOMEM, "out of memory");
    w->listener = w->stop = -1;
    for (int k = 0; k < WEB_CONNECTIONS; k++)
        w->conn[k].fd = -1;
    snprintf(w->state, sizeof w->state, "%s", o->facts.state);
    snprintf(w->file, sizeof w->file, "%s/" SERVE_FOLDER "/page", w->state);
    web_view_init(&w->view, &o->facts);
    w->view.facts.state = w->state;
    err_t rc = open_all(w, o, e);
    if (rc == ERR_OK && pthread_create(&w->thread, NULL, run, w) != 0)
        rc = err_set(e, ERR_NOMEM, "the page gets no thread");
    w->started = rc == ERR_OK;
    if (rc == ERR_OK)
        *out = w;
    else
        web_stop(&w);
    return rc;
}

const char *web_address(const struct web *w)
{
    return w->address;
}

void web_stop(struct web **at)
{
    struct web *w = *at;
    if (!w) return;
    if (w->started) {
        eventfd_write(w->stop, 1);
        pthread_join(w->thread, NULL);
        unlink(w->file);
    }
    if (w->daemon) {
        web_events_end(w);
        w->lib->stop_daemon(w->daemon);
    }
    web_view_close(&w->view);
    if (w->listener >= 0) close(w->listener);
    if (w->stop >= 0) close(w->stop);
    explicit_bzero(&w->token, sizeof w->token);
    free(w);
    *at = NULL;
}

// Server-sent events: a response that stays open, and says when the snapshot has changed.
// The format: https://html.spec.whatwg.org/multipage/server-sent-events.html

#include "coordinator/web_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const ns_t LOOK_EVERY = NS_S, HEARTBEAT = 10 * NS_S;

static void say(struct web_stream *s, uint64_t version, ns_t now)
{
    bool news = version != s->told;
    int n = snprintf(s->text, sizeof s->text, news ? "data: %llu\n\n" : ": still here\n\n",
                     (unsigned long long)version);
    s->n = (size_t)n;
    s->sent = 0;
    s->told = version;
    s->spoke = now;
}

// libmicrohttpd asks for more; with nothing to say the connection sleeps.
static ssize_t more(void *arg, uint64_t at, char *out, size_t max)
{
    struct web_stream *s = arg;
    (void)at;
    if (s->w->closing) return MHD_CONTENT_READER_END_OF_STREAM;
    size_t n = s->n - s->sent < max ? s->n - s->sent : max;
    if (n) {
        memcpy(out, s->text + s->sent, n);
        s->sent += n;
        return (ssize_t)n;
    }
    s->asleep = true;
    s->w->lib->suspend_connection(s->connection);
    return 0;
}

static void closed(void *arg)
{
    struct web_stream *s = arg;
    s->w->n_streams--;
    s->w = NULL;
}

static struct web_stream *free_stream(struct web *w)
{
    for (int i = 0; i < WEB_STREAMS; i++)
        if (!w->stream[i].w) return &w->stream[i];
    return NULL;
}

enum MHD_Result web_events_open(struct web *w, struct MHD_Connection *c)
{
    enum { BLOCK = 256 };
    struct err scratch;
    struct web_stream *s = free_stream(w);
    if (!s)
        return web_say(w, c, WEB_TEXT, WEB_BUSY,
                       "too many pages are open at the moment: look again later");
    *s = (struct web_stream){ .connection = c };
    struct MHD_Response *r =
        w->lib->create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, more, s, closed);
    if (!r) return MHD_NO;
    struct web_conn *conn = web_conn_of(w, c);
    if (conn) conn->stream = true;
    s->fd = conn ? conn->fd : -1;
    s->w = w;
    w->n_streams++;
    err_t rc = web_view_refresh(&w->view, clock_ns(), &scratch);
    (void)rc;                      // as in web_events_tick
    s->told = w->view.version + 1; // so that the first words are the version
    say(s, w->view.version, clock_ns());
    return web_send(w, c, WEB_OK, "text/event-stream", r);
}

static void wake(struct web_stream *s)
{
    s->asleep = false;
    s->w->lib->resume_connection(s->connection);
}

// libmicrohttpd does not look at connections that sleep.
static bool hung_up(const struct web_stream *s)
{
    char byte;
    ssize_t n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// Who has hung up is found out by being told something.
static void mind(struct web_stream *s, uint64_t version, ns_t now)
{
    bool due = version != s->told || now - s->spoke >= clock_protocol(HEARTBEAT);
    if (!s->asleep || (!due && !hung_up(s))) return;
    say(s, version, now);
    wake(s);
}

ns_t web_events_tick(struct web *w, ns_t now)
{
    struct err scratch;
    if (!w->n_streams) return NS_NEVER;
    // A failure has a version, too: the page tells of it.
    err_t rc = web_view_refresh(&w->view, now, &scratch);
    (void)rc;
    for (int i = 0; i < WEB_STREAMS; i++)
        if (w->stream[i].w) mind(&w->stream[i], w->view.version, now);
    return now + LOOK_EVERY;
}

// libmicrohttpd cannot end while a connection sleeps.
void web_events_end(struct web *w)
{
    w->closing = true;
    for (int i = 0; i < WEB_STREAMS; i++)
        if (w->stream[i].w && w->stream[i].asleep) wake(&w->stream[i]);
    w->lib->run(w->daemon);
}

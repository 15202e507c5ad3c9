#include "coordinator/schedule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST "# tranche-schedule 1 "

void schedule_free(struct schedule *s)
{
    free(s->name);
    free(s->job);
    free(s->when);
    free(s->program);
    free(s->home);
    *s = (struct schedule){ 0 };
}

bool schedule_name(const char *job_name, char out[SCHEDULE_NAME_MAX + 1])
{
    size_t n = 0;
    bool good = false;
    for (const char *p = job_name; *p && n < SCHEDULE_NAME_MAX; p++) {
        bool plain = isascii((unsigned char)*p) &&
                     (isalnum((unsigned char)*p) || *p == '_' || (n && *p == '.'));
        if (!plain && (n == 0 || out[n - 1] == '-')) continue;
        out[n++] = plain ? *p : '-';
        good |= plain;
    }
    while (n && out[n - 1] == '-')
        n--;
    out[n] = 0;
    return good;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool schedule_same(const struct schedule *a, const struct schedule *b)
{
    return a->by == b->by && same(a->name, b->name) && same(a->job, b->job) &&
           same(a->when, b->when) && same(a->program, b->program) && same(a->home, b->home);
}

err_t schedule_head(const struct schedule *s, struct buf *out, struct err *e)
{
    char since[32];
    struct tm t;
    time_t at = (time_t)s->since;
    gmtime_r(&at, &t);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &t);
    TRY(buf_printf(out, e, FIRST "%s\n# job: \"%s\"\n# schedule: %s\n# program: \"%s\"\n",
                   s->name, s->job, s->when, s->program));
    if (s->home) TRY(buf_printf(out, e, "# home: \"%s\"\n", s->home));
    return buf_printf(out, e, "# since: %s\n", since);
}

// ---- reading ----

// Behind "# KEY: ", without the quotes around it, takes the place of *to; another line
// changes nothing.
static err_t value_of(struct slice line, const char *key, char **to, struct err *e)
{
    size_t n = strlen(key);
    const char *p = (const char *)line.p;
    if (line.n < n + 4 || memcmp(p, "# ", 2) != 0 || memcmp(p + 2, key, n) != 0 ||
        memcmp(p + 2 + n, ": ", 2) != 0)
        return ERR_OK;
    p += n + 4;
    n = line.n - n - 4;
    bool quoted = n >= 2 && p[0] == '"' && p[n - 1] == '"';
    free(*to);
    *to = quoted ? strndup(p + 1, n - 2) : strndup(p, n);
    return *to ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t read_since(struct schedule *s, struct slice line, struct err *e)
{
    struct tm t = { 0 };
    char *text = NULL;
    err_t rc = value_of(line, "since", &text, e);
    if (text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &t)) s->since = timegm(&t);
    free(text);
    return rc;
}

static struct slice line_at(struct slice text, size_t at)
{
    const uint8_t *p = text.p + at, *end = memchr(p, '\n', text.n - at);
    return (struct slice){ p, end ? (size_t)(end - p) : text.n - at };
}

static err_t read_line(struct schedule *s, struct slice line, struct err *e)
{
    TRY(value_of(line, "job", &s->job, e));
    TRY(value_of(line, "schedule", &s->when, e));
    TRY(value_of(line, "program", &s->program, e));
    TRY(value_of(line, "home", &s->home, e));
    return read_since(s, line, e);
}

err_t schedule_read(struct slice text, struct schedule *out, bool *found, struct err *e)
{
    const size_t first = strlen(FIRST);
    err_t rc = ERR_OK;
    *found = false;
    *out = (struct schedule){ 0 };
    if (text.n <= first || memcmp(text.p, FIRST, first) != 0) return ERR_OK;
    struct slice line = line_at(text, 0);
    out->name = strndup((const char *)line.p + first, line.n - first);
    if (!out->name) return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t at = line.n + 1; at < text.n && rc == ERR_OK; at += line.n + 1) {
        line = line_at(text, at);
        if (line.n == 0 || line.p[0] != '#') break;
        rc = read_line(out, line, e);
    }
    *found = rc == ERR_OK && *out->name && out->job && out->when && out->program;
    if (!*found) schedule_free(out);
    return rc;
}

// The lines of a crontab: crontab(5).

#include "coordinator/schedule.h"

#include "common/cron.h"
#include "common/text.h"
#include "coordinator/engine.h"

#include <stdlib.h>
#include <string.h>

#define QUOTED(s) text_quoted(s, (char[TEXT_QUOTED]){ 0 })
#define FIRST     "# tranche-schedule 1 "
#define LAST      "# tranche-schedule end "

enum { COMMAND_MAX = 990 }; // Debian's cron takes 999 bytes

// ---- writing ----

// Not every cron takes a backslash before % for what it is when another one is near.
static err_t check(const char *path, struct err *e)
{
    if (!path || !strchr(path, '\\')) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s has a backslash, which crons read differently: rename it, or take "
                   "--systemd",
                   QUOTED(path));
}

static err_t command(const struct schedule *s, struct buf *out, struct err *e)
{
    TRY(check(s->program, e));
    TRY(check(s->job, e));
    TRY(check(s->home, e));
    if (s->home) {
        TRY(buf_printf(out, e, "TRANCHE_HOME="));
        TRY(engine_quote(out, s->home, e));
        TRY(buf_printf(out, e, " "));
    }
    TRY(engine_quote(out, s->program, e));
    TRY(buf_printf(out, e, " run "));
    TRY(engine_quote(out, s->job, e));
    return buf_printf(out, e, " --scheduled --progress none");
}

// A % ends the command, unless a backslash stands before it.
static err_t escaped(struct buf *out, const struct buf *text, struct err *e)
{
    size_t before = out->n;
    for (size_t i = 0; i < text->n; i++) {
        if (text->p[i] == '%') TRY(buf_add(out, "\\", 1, e));
        TRY(buf_add(out, &text->p[i], 1, e));
    }
    if (out->n - before <= COMMAND_MAX) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "the command has %zu bytes, and cron takes %d: shorten the path of the "
                   "job, or take --systemd",
                   out->n - before, COMMAND_MAX);
}

err_t schedule_lines(const struct schedule *s, struct buf *out, struct err *e)
{
    struct cron c;
    struct buf text = { 0 };
    const char *why = cron_parse(s->when, &c);
    if (why) return err_set(e, ERR_INVALID, "schedule: %s %s", QUOTED(s->when), why);
    TRY(schedule_head(s, out, e));
    TRY(buf_printf(out, e, "%s ", c.line));
    err_t rc = command(s, &text, e);
    if (rc == ERR_OK) rc = escaped(out, &text, e);
    buf_free(&text);
    TRY(rc);
    return buf_printf(out, e, "\n" LAST "%s\n", s->name);
}

// ---- finding ----

struct line {
    size_t at, n, next; // n without the line end
    size_t number;
};

static bool next_line(struct slice text, struct line *l)
{
    if (l->next >= text.n) return false;
    const uint8_t *p = text.p + l->next, *end = memchr(p, '\n', text.n - l->next);
    l->at = l->next;
    l->n = end ? (size_t)(end - p) : text.n - l->at;
    l->next = l->at + l->n + (end != NULL);
    l->number++;
    return true;
}

// The name behind `mark`, where the line begins with it.
static bool is_mark(struct slice text, const struct line *l, const char *mark,
                    struct slice *name)
{
    size_t n = strlen(mark);
    if (l->n <= n || memcmp(text.p + l->at, mark, n) != 0) return false;
    *name = (struct slice){ text.p + l->at + n, l->n - n };
    return true;
}

static err_t torn(size_t number, const char *what, struct err *e)
{
    return err_set(e, ERR_PARSE,
                   "line %zu of the crontab is %s of what tranche schedule wrote: mend it "
                   "with crontab -e",
                   number, what);
}

err_t schedule_find(struct slice text, size_t *at, bool *found, struct slice *lines,
                    struct err *e)
{
    struct line l = { 0 };
    struct slice name, end;
    size_t begin = 0, number = 0;
    *found = false;
    while (next_line(text, &l)) {
        if (l.at < *at) continue; // seen; counted for the sentence
        if (is_mark(text, &l, LAST, &end)) {
            if (!number) return torn(l.number, "the last line, without the first,", e);
            if (end.n != name.n || memcmp(end.p, name.p, end.n) != 0)
                return torn(number, "the first line, without the last,", e);
            *found = true;
            *lines = (struct slice){ text.p + begin, l.next - begin };
            *at = l.next;
            return ERR_OK;
        }
        if (!is_mark(text, &l, FIRST, &name)) continue;
        if (number) return torn(number, "the first line, without the last,", e);
        number = l.number;
        begin = l.at;
    }
    *at = text.n;
    return number ? torn(number, "the first line, without the last,", e) : ERR_OK;
}

static bool is_of(struct slice lines, const char *name)
{
    size_t n = strlen(name), first = strlen(FIRST);
    return lines.n > first + n && memcmp(lines.p + first, name, n) == 0 &&
           lines.p[first + n] == '\n';
}

static err_t add_lines(const struct schedule *s, struct buf *out, struct err *e)
{
    if (out->n && out->p[out->n - 1] != '\n') TRY(buf_add(out, "\n", 1, e));
    return schedule_lines(s, out, e);
}

err_t schedule_replace(struct slice text, const char *name, const struct schedule *s,
                       struct buf *out, bool *changed, struct err *e)
{
    size_t at = 0, kept = 0;
    bool found;
    struct slice lines;
    if (!text.p) text.p = (const uint8_t *)"";
    for (;;) {
        TRY(schedule_find(text, &at, &found, &lines, e));
        if (!found) break;
        if (!is_of(lines, name)) continue;
        TRY(buf_add(out, text.p + kept, (size_t)(lines.p - text.p) - kept, e));
        kept = at;
        if (s) TRY(add_lines(s, out, e));
        s = NULL; // once
    }
    TRY(buf_add(out, text.p + kept, text.n - kept, e));
    if (s) TRY(add_lines(s, out, e));
    *changed = out->n != text.n || (text.n && memcmp(out->p, text.p, text.n) != 0);
    return ERR_OK;
}

#include "coordinator/explain.h"

#include "common/say.h"
#include "coordinator/past_say.h"

#include <string.h>

void explain_run(const struct past *p, FILE *out)
{
    past_say_head(p, out);
    past_say_balance(p, out);
    past_say_cache(p, out);
    past_say_workers(p, out);
    past_say_troubled(p, out);
    past_say_events(p, out);
}

// The first attempt of a chunk needs no reason, each later one has that of the one before.
static void say_why(const struct past_chunk *c, FILE *out)
{
    bool any = false;
    for (uint32_t i = 0; i + 1 < c->n; i++) {
        const char *why = past_why_again(&c->tries[i]);
        if (!why) continue;
        if (!any) say_to(out, "  tried again because");
        say_to(out, "%s attempt %u %s", any ? "," : "", c->tries[i].attempt, why);
        any = true;
    }
    if (any) say_to(out, "\n");
}

static void say_rows(const struct past *p, const struct past_chunk *c,
                     const struct past_rows *r, FILE *out)
{
    char name[300];
    if (r->unknown) {
        say_to(out, "  rows     where they are cannot be told: %s\n", r->unknown);
        return;
    }
    if (r->range.end != c->range.end)
        say_to(out, "  parts    %s; the first of them is %s\n",
               c->chunks > 1 ? "several chunks" : "it was split, since it failed",
               past_chunk_name(p, r->range, name, sizeof name));
    say_to(out, "  ledger   %s, attempt %u of %s\n", r->state, r->attempt, r->worker);
    say_to(out, "  rows     %llu read, %llu rejected; %llu loaded, %llu refused\n",
           (unsigned long long)r->rows_read, (unsigned long long)r->rows_rejected,
           (unsigned long long)r->rows_loaded, (unsigned long long)r->rows_refused);
    bool table = strncmp(p->run.into, "sqlite:", 7) == 0;
    if (p->merged)
        say_to(out, "           they were merged into those of table %s\n", p->run.table);
    else if (r->first >= 0 && r->rows_loaded && table)
        say_to(out, "           rowids %lld to %lld of table %s in %s\n",
               (long long)r->first, (long long)r->last, p->run.table, p->database);
    else if (r->first >= 0 && r->rows_loaded)
        say_to(out, "           bytes %lld to %lld of %s\n", (long long)r->first,
               (long long)r->last, p->run.into);
    if (r->rows_rejected + r->rows_refused && table)
        say_to(out, "           those that are not stand in %s_rejects, with the reason\n",
               p->run.table);
}

static void say_cached(const struct past *p, const struct past_chunk *c,
                       const struct past_rows *rows, FILE *out)
{
    const struct past_reused *r = past_reused_of(p, c->range);
    if (r && !r->why[0])
        say_to(out, "  cache    its result was reused, no worker had to do anything\n");
    else if (r)
        say_to(out, "  cache    not reused: %s\n", r->why);
    else if (strstr(p->spec, "\ncache ") == NULL && !p->n_reused)
        say_to(out, "  cache    not asked: the job does not say cache: true\n");
    if (r && r->why[0] && !rows->unknown && rows->rows_rejected)
        say_to(out, "           nor will it be: results with rejected rows are not kept\n");
}

void explain_chunk(const struct past *p, const struct past_chunk *c,
                   const struct past_rows *rows, FILE *out)
{
    char name[400];
    say_to(out, "run %s, %s\n", p->run.id, past_title(p, c, name, sizeof name));
    if (!rows->unknown && rows->first_line)
        say_to(
            out, "  lines    %llu to %llu\n", (unsigned long long)rows->first_line,
            (unsigned long long)(rows->first_line + (rows->lines ? rows->lines - 1 : 0)));
    say_why(c, out);
    past_say_tries(p, c, out);
    if (!c->n) say_to(out, "  no attempt is on record\n");
    say_rows(p, c, rows, out);
    say_cached(p, c, rows, out);
}

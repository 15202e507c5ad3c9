// page_site - what the pages of a server have in common: head, navigation, how something
// stands, how far it is. They work without a script; page/live.js puts what is new into
// those that say that they are live.

#ifndef COORDINATOR_PAGE_SITE_H
#define COORDINATOR_PAGE_SITE_H

#include "coordinator/page.h"
#include "coordinator/web_view.h"

struct page_site {
    const char *title;
    const char *here; // "/", "/jobs", "/runs", "/workers": where that is; or ""
    bool live;        // what it shows goes on
};
// `view` is NULL for a page that says what went wrong.
void page_site_begin(struct page *p, const struct web_view *view,
                     const struct page_site *s);
// Appends the page to *out; frees it on failure.
MUST_CHECK err_t page_site_end(struct page *p, const struct web_view *view, struct buf *out,
                               struct err *e);

// The same, unless rc says that what it shows could not be read: then it is freed.
MUST_CHECK err_t page_finish(struct page *p, const struct web_view *view, err_t rc,
                             struct buf *out, struct err *e);

// How something stands: a sign, a colour and the words.
enum page_mood { MOOD_WAITS, MOOD_RUNS, MOOD_GOOD, MOOD_WARNS, MOOD_BAD };
void page_mood(struct page *p, enum page_mood mood, const char *text);
enum page_mood page_mood_of_run(const struct journal_run *r, bool goes_on);
void page_job_state(struct page *p, const struct backlog_job *j); // the words, too

// A list of facts: <dl class="facts"> around page_fact.
void page_fact(struct page *p, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void page_fact_count(struct page *p, const char *label, uint64_t n);
// How far a run that goes on is, and its facts.
void page_going(struct page *p, const struct web_run *r);
const char *page_run_name(const struct journal_run *r); // its id when it has none

void page_job_link(struct page *p, int64_t job);      // "job 12"
void page_time_cell(struct page *p, int64_t wall_ms); // 0: nothing
void page_none(struct page *p, const char *text);     // in place of an empty table
// A link to the rest of a list: "PATH?NAME=VALUE".
void page_further(struct page *p, const char *path, const char *name, int64_t value,
                  const char *text);

#endif

#include "common/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
    pcre2_match_data *found;
};

static err_t compile(struct pattern *p, const char *text, size_t n, struct err *e)
{
    enum { DEPTH_MAX = 50 };
    int why;
    size_t at;
    pcre2_compile_context *c = pcre2_compile_context_create(NULL);
    if (!c) return err_set(e, ERR_NOMEM, "out of memory for a regular expression");
    pcre2_set_parens_nest_limit(c, DEPTH_MAX);
    p->code = pcre2_compile((PCRE2_SPTR)text, n,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                            &why, &at, c);
    pcre2_compile_context_free(c);
    if (p->code) return ERR_OK;
    if (why == PCRE2_ERROR_NOMEMORY)
        return err_set(e, ERR_NOMEM, "out of memory for a regular expression");
    char reason[200];
    pcre2_get_error_message(why, (PCRE2_UCHAR *)reason, sizeof reason);
    return err_set(e, ERR_INVALID, "'%.100s': %s, at byte %zu", text, reason, at + 1);
}

static err_t prepare(struct pattern *p, struct err *e)
{
    p->limits = pcre2_match_context_create(NULL);
    p->found = pcre2_match_data_create(1, NULL);
    if (!p->limits || !p->found)
        return err_set(e, ERR_NOMEM, "out of memory for a regular expression");
    pcre2_set_match_limit(p->limits, PATTERN_STEPS_MAX);
    pcre2_set_heap_limit(p->limits, PATTERN_HEAP_MAX / 1024);
    // A host that forbids writable code runs the interpreter: slower, the same answers.
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    return ERR_OK;
}

err_t pattern_new(struct pattern **out, const char *text, size_t n, struct err *e)
{
    *out = NULL;
    if (n > PATTERN_MAX)
        return err_set(e, ERR_INVALID, "'%.100s...': longer than %d bytes", text,
                       PATTERN_MAX);
    struct pattern *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory for a regular expression");
    err_t rc = compile(p, text, n, e);
    if (rc == ERR_OK) rc = prepare(p, e);
    if (rc != ERR_OK) {
        pattern_free(&p);
        return rc;
    }
    *out = p;
    return ERR_OK;
}

void pattern_free(struct pattern **pp)
{
    struct pattern *p = *pp;
    if (!p) return;
    pcre2_match_data_free(p->found);
    pcre2_match_context_free(p->limits);
    pcre2_code_free(p->code);
    free(p);
    *pp = NULL;
}

err_t pattern_matches(struct pattern *p, const char *text, size_t n, bool *matches,
                      struct err *e)
{
    int rc = pcre2_match(p->code, (PCRE2_SPTR)text, n, 0, 0, p->found, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) // the interpreter has the heap
        rc =
            pcre2_match(p->code, (PCRE2_SPTR)text, n, 0, PCRE2_NO_JIT, p->found, p->limits);
    if (rc == PCRE2_ERROR_NOMEMORY)
        return err_set(e, ERR_NOMEM, "out of memory for a regular expression");
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        char reason[200];
        pcre2_get_error_message(rc, (PCRE2_UCHAR *)reason, sizeof reason);
        return err_set(e, ERR_TOOBIG, "%s on a text of %zu bytes", reason, n);
    }
    *matches = rc >= 0;
    return ERR_OK;
}

#include "coordinator/reject_kinds.h"

#include "common/reason.h"
#include "common/rejects.h"
#include "common/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct reject_kind *place(struct reject_kinds *k, const char *kind)
{
    uint32_t rarest = 0;
    for (uint32_t i = 0; i < k->n; i++) {
        if (strcmp(k->v[i].kind, kind) == 0) return &k->v[i];
        if (k->v[i].rows < k->v[rarest].rows) rarest = i;
    }
    struct reject_kind *v = &k->v[k->n < REJECT_KINDS ? k->n++ : rarest];
    *v = (struct reject_kind){ 0 };
    snprintf(v->kind, sizeof v->kind, "%s", kind);
    return v;
}

static void add(struct reject_kinds *k, const struct reject *r)
{
    char kind[REJECT_KIND], text[REJECT_REASON_MAX + 1];
    size_t n = r->reason.n < sizeof text ? r->reason.n : sizeof text - 1;
    if (n) memcpy(text, r->reason.p, n);
    text[n] = 0;
    reason_kind(text, kind, sizeof kind);
    struct reject_kind *v = place(k, kind);
    if (v->rows++) return;
    int column = (int)utf8_cut(r->column.p, r->column.n, 60);
    int why = (int)utf8_cut((const uint8_t *)text, strlen(text), REJECT_KIND - 80);
    snprintf(v->like, sizeof v->like, "%s%.*s%s%.*s", column ? "column " : "", column,
             column ? (const char *)r->column.p : "", column ? ": " : "", why, text);
    for (char *c = v->like; *c; c++)
        if (*c == '\n') *c = ' ';
}

void reject_kinds_add(struct reject_kinds *k, struct slice rejects)
{
    size_t at = 0;
    bool bad = false;
    struct reject r;
    while (rejects.p && rejects_next(rejects, &at, &r, &bad))
        add(k, &r);
}

const struct reject_kind *reject_kinds_most(const struct reject_kinds *k)
{
    const struct reject_kind *most = NULL;
    for (uint32_t i = 0; i < k->n; i++)
        if (!most || k->v[i].rows > most->rows) most = &k->v[i];
    return most;
}

#include "coordinator/field_names.h"

#include "common/suggest.h"
#include "common/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 64 }; // longer ones are suggested to nobody

struct search {
    const char *field, *last; // address.city, city
    char near[KEY_MAX + 1];   // "": none
    size_t distance;
    bool found;
};

static void on_key(struct search *s, const uint8_t *p, size_t n)
{
    char key[KEY_MAX + 1];
    s->found |= n == strlen(s->last) && memcmp(p, s->last, n) == 0;
    s->found |= n == strlen(s->field) && memcmp(p, s->field, n) == 0;
    if (n > KEY_MAX || memchr(p, '\\', n) || memchr(p, 0, n)) return;
    memcpy(key, p, n);
    key[n] = 0;
    struct suggest near = { .word = s->last };
    suggest_offer(&near, key);
    if (!near.best || (s->near[0] && near.distance >= s->distance)) return;
    s->distance = near.distance;
    memcpy(s->near, key, n + 1);
}

// The end of the text that begins at p[at], a quote; n: it has none.
static size_t text_end(struct slice s, size_t at)
{
    for (at++; at < s.n && s.p[at] != '"' && s.p[at] != '\n'; at++)
        at += s.p[at] == '\\';
    return at < s.n ? at : s.n;
}

// Keys are texts before a colon, at any depth.
static void look(struct search *s, struct slice sample)
{
    for (size_t at = 0; at < sample.n && !s->found; at++) {
        if (sample.p[at] != '"') continue;
        size_t end = text_end(sample, at), next = end + 1;
        while (next < sample.n && (sample.p[next] == ' ' || sample.p[next] == '\t'))
            next++;
        if (next < sample.n && sample.p[end] == '"' && sample.p[next] == ':')
            on_key(s, sample.p + at + 1, end - at - 1);
        at = end;
    }
}

static err_t tell(const struct search *s, struct strings *notes, struct err *e)
{
    char line[500], name[TEXT_QUOTED], near[TEXT_QUOTED + 40] = "", shown[TEXT_QUOTED];
    if (s->near[0]) {
        char whole[600];
        snprintf(whole, sizeof whole, "%.*s%s",
                 (int)(s->last - s->field < 500 ? s->last - s->field : 500), s->field,
                 s->near);
        snprintf(near, sizeof near, "; did you mean %s?", text_quoted(whole, shown));
    }
    snprintf(line, sizeof line, "--fields: no line that was looked at has a member %s%s",
             text_quoted(s->field, name), near);
    return strings_add(notes, line, strlen(line), e);
}

err_t field_names_check(const struct strings *fields, const struct infer_column *seen,
                        uint32_t n, struct slice sample, struct strings *notes,
                        struct err *e)
{
    for (uint32_t i = 0; i < n && i < fields->n; i++) {
        const char *dot = strrchr(fields->v[i], '.');
        struct search s = { .field = fields->v[i], .last = dot ? dot + 1 : fields->v[i] };
        if (seen[i].values || !seen[i].nulls) continue;
        look(&s, sample);
        if (!s.found) TRY(tell(&s, notes, e));
    }
    return ERR_OK;
}

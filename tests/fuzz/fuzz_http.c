// The parts of an http step that read what others wrote: the first byte picks whether the
// rest is a template, a path, a header Link, or an answer that is read along one of some
// paths.

#include "common/env_text.h"
#include "common/json_path.h"
#include "common/url_template.h"
#include "common/utf8.h"
#include "worker/http_link.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void template(const char *text)
{
    struct url_template t;
    if (url_template_parse(&t, text, NULL) == ERR_OK && t.n == 0) abort();
    for (size_t i = 0; i < t.n; i++) {
        struct buf b = { 0 };
        if (!*t.v[i].text) abort();
        if (url_escape(&b, (const uint8_t *)t.v[i].text, strlen(t.v[i].text), NULL) ==
            ERR_OK)
            for (size_t k = 0; k < b.n; k++)
                if (b.p[k] <= ' ' || b.p[k] >= 0x7f) abort();
        buf_free(&b);
    }
    url_template_free(&t);
}

static const char *value_of(const char *name)
{
    return *name ? "value" : NULL;
}

static void path(const char *text)
{
    struct json_path p;
    if (json_path_parse(&p, text, NULL) == ERR_OK && *text != '$') abort();
    json_path_free(&p);
    struct buf b = { 0 };
    bool good = env_text_check(text, NULL) == ERR_OK;
    if (good != (env_text_expand(text, value_of, &b, NULL) == ERR_OK)) abort();
    buf_free(&b);
}

static void link_header(const char *p, size_t n)
{
    struct slice s = http_link_next(p, n);
    if (!s.n) return;
    const char *from = (const char *)s.p;
    if (from <= p || from + s.n >= p + n || from[-1] != '<' || from[s.n] != '>') abort();
}

static err_t on_row(void *arg, const struct json_value *v, struct err *e)
{
    size_t n = *(size_t *)arg;
    (void)e;
    for (size_t i = 0; i < n; i++) {
        if (v[i].kind == JSON_NULL) continue;
        if (utf8_bad(v[i].p, v[i].n) != v[i].n) abort();
        if (v[i].kind == JSON_NESTED && (v[i].n < 2 || !strchr("[{", *v[i].p))) abort();
    }
    return ERR_OK;
}

static void answer(unsigned how, const uint8_t *p, size_t n)
{
    static const char *const paths[] = { "$",      "$[*]",      "$.a",
                                         "$.a[*]", "$[*][*].b", "$.a.b[*].c" };
    static char a[] = "a", ab[] = "a.b";
    static char *names[] = { a, ab };
    struct strings fields = { names, how & 1 ? 2 : 0 };
    struct json_pick *k;
    size_t values = fields.n ? fields.n : 1;
    bool good = false;
    char why[JSON_LINE_WHY] = "";
    if (json_pick_new(&k, paths[how / 2 % 6], &fields, "the answer", NULL) != ERR_OK)
        return;
    if (json_pick_read(k, p, n, on_row, &values, &good, why, NULL) != ERR_OK) abort();
    if (!good && !*why) abort();
    json_pick_free(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    char *copy = malloc(size); // of exactly this size: asan sees past it
    if (!copy) return 0;
    memcpy(copy, data + 1, size - 1);
    copy[size - 1] = 0;
    if (data[0] < 50)
        template(copy);
    else if (data[0] < 80)
        path(copy);
    else if (data[0] < 100)
        link_header(copy, size - 1);
    else
        answer(data[0] - 100u, (const uint8_t *)copy, size - 1);
    free(copy);
    return 0;
}

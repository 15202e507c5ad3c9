// What a request says that is read here and not by libmicrohttpd: u8 lengths and texts of
// path, Host, Authorization and a number. The token is never guessed, no name but ours is
// one, and what is sent back is text.

#include "coordinator/web_guard.h"
#include "coordinator/web_route.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <strings.h>

static char *text(struct tape *t)
{
    size_t n;
    const uint8_t *p = draw_bytes(t, (size_t)draw(t, 1), &n);
    char *s = malloc(n + 1);
    if (!s) abort();
    if (n) memcpy(s, p, n);
    s[n] = 0;
    return s;
}

static void check_path(const char *path)
{
    char name[WEB_NAME];
    const struct web_route *r = web_route_find(path, name);
    if (r && strchr(r->path, '*') && (!*name || strchr(name, '/'))) abort();
    if ((!r || !strchr(r->path, '*')) && *name) abort();
    struct web_request q = { .path = path };
    memcpy(q.name, name, sizeof name);
    struct err e;
    int64_t n;
    if (web_name_number(&q, &n, &e) == ERR_OK && n <= 0) abort();
}

static void check_host(const char *host)
{
    static const char *const more[] = { "a.example", NULL };
    static const char *const ours[] = { "127.0.0.1", "localhost", "[::1]", "10.0.0.1",
                                        "a.example" };
    bool begins = false;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        size_t n = strlen(ours[i]);
        begins |= strncasecmp(host, ours[i], n) == 0 &&
                  (host[n] == 0 || (host[n] == ':' && isdigit((unsigned char)host[n + 1])));
    }
    if (web_host_is_ours(host, "10.0.0.1", more) && !begins) abort();
}

static void check_number(const char *s)
{
    const struct web_request q = { .param = { { "n", s } }, .n_params = 1 };
    struct err e;
    uint64_t n;
    if (web_param_number(&q, "n", 5, 10, 7, &n, &e) == ERR_OK && (n < 5 || n > 10)) abort();
}

static void check_answers(const char *s)
{
    struct buf out = { 0 };
    struct err e;
    must(web_route_say(WEB_PAGE, 404, s, &out, &e));
    must(web_route_say(WEB_JSON, 404, s, &out, &e));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape t = { data, size };
    const struct web_token token = { .text = "0123456789abcdef0123456789abcdef",
                                     .basic = "dHJhbmNoZTowMTIz" };
    char *path = text(&t), *host = text(&t), *authorization = text(&t), *n = text(&t);
    check_path(path);
    check_host(host);
    if (web_token_matches(&token, authorization) && !strstr(authorization, token.text) &&
        !strstr(authorization, token.basic))
        abort();
    check_number(n);
    check_answers(path);
    free(path);
    free(host);
    free(authorization);
    free(n);
    return 0;
}

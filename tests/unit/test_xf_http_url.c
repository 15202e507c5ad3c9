// The address that an http step makes of a row, without a server.

#include "tests/batches.h"
#include "tests/test.h"
#include "worker/xf_http.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 9 }; // bytes of http://h/

struct row {
    const char *name, *url;
    char byte; // that the column a is made of
    size_t n;
    size_t want; // bytes of the address; 0: there is none, it would be too long
};
static const struct row rows[] = {
    { "a_short_value", "http://h/{a}{b}", 'a', 5, HEAD + 5 + 1 },
    { "as_long_as_can_be", "http://h/{a}", 'a', XF_HTTP_URL_MAX - HEAD, XF_HTTP_URL_MAX },
    { "a_byte_too_long", "http://h/{a}", 'a', XF_HTTP_URL_MAX - HEAD + 1, 0 },
    { "escaped_as_long_as_can_be", "http://h/{a}x", ' ', (XF_HTTP_URL_MAX - HEAD) / 3,
      XF_HTTP_URL_MAX },
    { "too_long_when_it_is_escaped", "http://h/{a}", ' ', 30000, 0 },
    { "a_value_behind_one_that_is_too_long", "http://h/{a}{b}", ' ', 30000, 0 },
    { "a_value_behind_one_that_is_full", "http://h/{a}{b}", 'a', XF_HTTP_URL_MAX - HEAD,
      0 },
    { "a_text_behind_one_that_is_full", "http://h/{a}/", 'a', XF_HTTP_URL_MAX - HEAD, 0 },
    { "a_value_that_is_longer_by_itself", "http://h/{a}", 'a', 10 * XF_HTTP_URL_MAX, 0 },
};

static void literal_of(struct buf *to, char byte, size_t n)
{
    struct err e;
    PASS(&e, buf_add(to, "'", 1, &e));
    for (size_t i = 0; i < n; i++)
        PASS(&e, buf_add(to, &byte, 1, &e));
    PASS(&e, buf_add(to, "', 'b'", 7, &e));
}

static void gives(void **state)
{
    const struct row *t = *state;
    struct spec spec = { 0 };
    struct xf_http x = { 0 };
    struct arena mem = { 0 };
    struct batch b = { 0 };
    struct buf text = { 0 };
    struct err e;
    const char *why;
    char *url;
    x.step.http.url = (char *)(uintptr_t)t->url;
    schema_of(&x.in, "a text, b text");
    literal_of(&text, t->byte, t->n);
    batch_of(&b, &x.in, (char *)text.p);
    x.batch = &b;
    x.mem = &mem;
    PASS(&e, xf_http_bind_url(&x, &spec, &e));
    PASS(&e, xf_http_row_url(&x, 0, &url, &why, &e));
    EQ_I64(t->want, url ? strlen(url) : 0);
    if (t->want)
        assert_null(why);
    else
        assert_string_equal("an address of more than 65536 bytes", why);
    free(url);
    free(x.from);
    free(x.param);
    url_template_free(&x.url);
    schema_free(&x.in);
    batch_free(&b);
    buf_free(&text);
    arena_free(&mem);
}

int main(void)
{
    return test_main("xf_http_url", NULL, 0, TABLE(rows, gives), N_OF(rows));
}

// The next page in a header Link.

#include "tests/test.h"
#include "worker/http_link.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *name, *value, *want;
};
static const struct row rows[] = {
    { "one", "<http://h/2>; rel=\"next\"", "http://h/2" },
    { "a_token", "<?page=2>;rel=next", "?page=2" },
    { "among_others", "</1>; rel=\"first\", </3>; rel=\"next\", </9>; rel=\"last\"", "/3" },
    { "other_params",
      "</2>; title=\"a, <b>; rel=\\\"prev\\\"\"; x; rel=next; type=\"text/html\"", "/2" },
    { "two_relations", "</1>; rel=\"first prev\", </2>; rel=\"up next\"", "/2" },
    { "capitals", "</2>; REL=\"Next\"", "/2" },
    { "spaces", "  </2>\t; rel = \"next\" ", "/2" },
    { "commas_in_an_address", "</a,b;c>; rel=next", "/a,b;c" },
    { "line_end", "</2>; rel=next\r\n", "/2" },
    { "the_first_rel_counts", "</2>; rel=prev; rel=next", "" },
    { "none", "</1>; rel=\"first\", </9>; rel=\"last\"", "" },
    { "a_longer_word", "</2>; rel=nextly, </3>; rel=\"previous-next\"", "" },
    { "no_rel", "</2>", "" },
    { "empty", "", "" },
    { "no_address", "rel=next", "" },
    { "an_address_without_end", "</2; rel=next", "" },
    { "a_quote_without_end", "</1>; rel=\"first, </2>; rel=next", "" },
    { "garbage_between", "</1>; rel=first x </2>; rel=next", "" },
};

static void gives(void **state)
{
    const struct row *r = *state;
    size_t n = strlen(r->value);
    char *copy = malloc(n ? n : 1); // of exactly this size
    assert_non_null(copy);
    memcpy(copy, r->value, n);
    struct slice got = http_link_next(copy, n);
    EQ_I64(strlen(r->want), got.n);
    if (got.n) assert_memory_equal(r->want, got.p, got.n);
    for (size_t k = 0; k < n; k++) // cut anywhere it is read no further
        (void)http_link_next(copy + (n - k), k);
    free(copy);
}

int main(void)
{
    return test_main("http_link", NULL, 0, TABLE(rows, gives), N_OF(rows));
}

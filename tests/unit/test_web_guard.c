// Who may ask: addresses, tokens, the names of this host.

#include "coordinator/web_guard.h"

#include "tests/folder.h"
#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct err e;
static char top[TEST_FOLDER], file[100];

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_web_guard") != 0) return -1;
    snprintf(file, sizeof file, "%s/token", top);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

// ---- addresses ----

struct address {
    const char *name, *text, *host; // NULL: refused
    unsigned port;
    bool loopback;
};
static const struct address addresses[] = {
    { "a_port_is_on_this_host_alone", "8080", "127.0.0.1", 8080, true },
    { "port_0", "0", "127.0.0.1", 0, true },
    { "all_of_127_is_this_host", "127.9.9.9:1", "127.9.9.9", 1, true },
    { "every_address", "0.0.0.0:80", "0.0.0.0", 80, false },
    { "a_star_is_every_address", "*:80", "0.0.0.0", 80, false },
    { "v6_in_brackets", "[::1]:80", "[::1]", 80, true },
    { "every_v6_address", "[::]:80", "[::]", 80, false },
    { "a_mapped_address", "[::ffff:127.0.0.1]:80", "127.0.0.1", 80, true },
    { "a_mapped_one_of_others", "[::ffff:10.0.0.1]:80", "10.0.0.1", 80, false },
    { "v6_without_brackets", "::1:80", NULL, 0, false },
    { "no_port", "127.0.0.1:", NULL, 0, false },
    { "no_host", ":80", NULL, 0, false },
    { "nothing", "", NULL, 0, false },
    { "a_port_past_the_last", "65536", NULL, 0, false },
    { "a_port_with_a_sign", "+80", NULL, 0, false },
    { "a_port_with_a_word", "80x", NULL, 0, false },
    { "an_address_like_a_url", "http://127.0.0.1:80", NULL, 0, false },
};

static void an_address_is_what_it_says(void **state)
{
    const struct address *t = *state;
    union web_address a;
    char host[WEB_ADDRESS_TEXT];
    if (!t->host) {
        EXPECT(ERR_INVALID, &e, web_address_parse(t->text, &a, &e));
        assert_non_null(strstr(e.text, "is no [HOST:]PORT, e.g. 8080"));
        return;
    }
    PASS(&e, web_address_parse(t->text, &a, &e));
    web_address_host(&a, host);
    assert_string_equal(t->host, host);
    EQ_I64(t->port, web_address_port(&a));
    EQ_I64(t->loopback, web_address_is_loopback(&a));
}

// ---- Host ----

struct host {
    const char *name, *host;
    bool ours;
};
static const struct host hosts[] = {
    { "this_host", "127.0.0.1", true },
    { "with_a_port", "127.0.0.1:8080", true },
    { "by_its_name", "localhost:1", true },
    { "in_capitals", "LocalHost", true },
    { "of_version_6", "[::1]:80", true },
    { "the_address_that_it_came_in_at", "10.1.2.3:80", true },
    { "a_name_that_is_allowed", "tranche.example:443", true },
    { "another_name", "evil.example", false },
    { "a_name_that_begins_so", "localhost.evil.example", false },
    { "a_name_that_ends_so", "evil-tranche.example", false },
    { "another_address", "10.1.2.4", false },
    { "nothing", "", false },
    { "none", NULL, false },
    { "a_port_that_is_none", "localhost:80@evil", false },
    { "an_empty_port", "localhost:", false },
    { "a_bracket_that_stays_open", "[::1", false },
    { "something_behind_the_bracket", "[::1]evil:80", false },
    { "a_user", "localhost@evil", false },
};

static void a_host_is_ours_or_not(void **state)
{
    const struct host *t = *state;
    static const char *const more[] = { "tranche.example", "x", NULL };
    EQ_I64(t->ours, web_host_is_ours(t->host, "10.1.2.3", more));
    if (!t->ours) EQ_I64(false, web_host_is_ours(t->host, "", NULL));
}

// ---- tokens ----

static void write_token(const char *text, size_t n, mode_t mode)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(n, write(fd, text, n));
    assert_int_equal(0, fchmod(fd, mode));
    close(fd);
}

#define GOOD "0123456789abcdefABCDEF~!-_.:,;+=/"

static void a_token_comes_as_bearer_or_as_password(void **state)
{
    (void)state;
    struct web_token t;
    write_token(GOOD "\r\nmore\n", strlen(GOOD) + 7, 0600);
    PASS(&e, web_token_read(&t, file, &e));
    assert_true(web_token_matches(&t, "Bearer " GOOD));
    assert_true(web_token_matches(&t, "bearer   " GOOD));
    // base64 of "tranche:" and the token, made by coreutils
    assert_true(web_token_matches(
        &t, "Basic dHJhbmNoZTowMTIzNDU2Nzg5YWJjZGVmQUJDREVGfiEtXy46LDsrPS8="));
    static const char *const wrong[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        GOOD,
        "Bearer " GOOD "x",
        "Bearer 0123456789abcdefABCDEF~!-_.:,;+=",
        "Bearer 0123456789abcdefABCDEF~!-_.:,;+=?",
        "Basic " GOOD,
        "Bearer dHJhbmNoZTowMTIzNDU2Nzg5YWJjZGVmQUJDREVGfiEtXy46LDsrPS8=",
        "Digest username=\"tranche\"",
    };
    for (size_t i = 0; i < N_OF(wrong); i++)
        assert_false(web_token_matches(&t, wrong[i]));
}

static void without_a_token_everybody_on_this_host_may_ask(void **state)
{
    (void)state;
    const struct web_token none = { 0 };
    assert_true(web_token_matches(&none, NULL));
    assert_true(web_token_matches(&none, "Bearer x"));
}

static void a_token_of_three_lengths_is_padded_as_the_rfc_says(void **state)
{
    (void)state;
    char out[BASE64_SIZE(6)];
    static const char *const text[] = {
        "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
    }; // RFC 4648, 10
    for (size_t n = 0; n < N_OF(text); n++) {
        base64_encode("foobar", n, out);
        assert_string_equal(text[n], out);
    }
}

struct bad_token {
    const char *name, *text;
    mode_t mode;
    const char *says;
};
static const struct bad_token bad_tokens[] = {
    { "others_can_read_it", GOOD, 0640, "yours alone (chmod 600)" },
    { "others_can_write_it", GOOD, 0602, "yours alone (chmod 600)" },
    { "too_short", "0123456789012345678901234567890\n", 0600,
      "32 to 1024 characters, and this one 31" },
    { "empty", "", 0600, "this one 0; 'openssl rand -hex 32'" },
    { "an_empty_line", "\n" GOOD, 0600, "this one 0" },
    { "a_space", "01234567890123456789 12345678901234", 0600, "no spaces" },
    { "not_ascii", "012345678901234567890123456789012\xc3\xa4", 0600, "of ASCII only" },
};

static void a_bad_token_is_refused(void **state)
{
    const struct bad_token *t = *state;
    struct web_token out;
    if (fresh(NULL) != 0) fail();
    write_token(t->text, strlen(t->text), t->mode);
    EXPECT(ERR_INVALID, &e, web_token_read(&out, file, &e));
    if (!strstr(e.text, t->says)) fail_msg("%s", e.text);
    finish(NULL);
}

static void a_token_that_is_no_file_or_too_long_is_refused(void **state)
{
    (void)state;
    struct web_token t;
    char much[3000];
    memset(much, 'x', sizeof much);
    EXPECT(ERR_INVALID, &e, web_token_read(&t, file, &e));
    assert_non_null(strstr(e.text, "No such file"));
    EXPECT(ERR_INVALID, &e, web_token_read(&t, top, &e));
    assert_non_null(strstr(e.text, "is no file"));
    write_token(much, sizeof much, 0600);
    EXPECT(ERR_INVALID, &e, web_token_read(&t, file, &e));
    assert_non_null(strstr(e.text, "32 to 1024"));
    write_token(much, WEB_TOKEN_MAX, 0600);
    PASS(&e, web_token_read(&t, file, &e));
    EQ_I64(WEB_TOKEN_MAX, strlen(t.text));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(a_token_comes_as_bearer_or_as_password),
        T(without_a_token_everybody_on_this_host_may_ask),
        T(a_token_of_three_lengths_is_padded_as_the_rfc_says),
        T(a_token_that_is_no_file_or_too_long_is_refused),
    };
    struct CMUnitTest *tables[] = { TABLE(addresses, an_address_is_what_it_says),
                                    TABLE(hosts, a_host_is_ours_or_not),
                                    TABLE(bad_tokens, a_bad_token_is_refused) };
    int failed = test_main("web_guard", plain, N_OF(plain), tables[0], N_OF(addresses));
    failed |= test_main("web_guard hosts", NULL, 0, tables[1], N_OF(hosts));
    return failed | test_main("web_guard tokens", NULL, 0, tables[2], N_OF(bad_tokens));
}

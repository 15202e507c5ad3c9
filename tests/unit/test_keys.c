#include "proto/keys.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[128];

static int open_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/keys-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    char line[128];
    snprintf(line, sizeof line, "rm -rf %s", dir);
    return system(line);
}

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static const char *put(const char *name, const char *text, mode_t mode)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(strlen(text), write(fd, text, strlen(text)));
    assert_int_equal(0, fchmod(fd, mode));
    close(fd);
    return path;
}

static void a_key_survives_its_text(void **state)
{
    (void)state;
    struct err e;
    struct key_pair k;
    char text[KEY_TEXT];
    uint8_t back[KEY_BYTES];
    PASS(&e, keys_new(&k, &e));
    keys_text(k.public_key, text);
    EQ_I64(40, strlen(text));
    assert_true(keys_parse(text, back));
    assert_memory_equal(k.public_key, back, KEY_BYTES);
    text[39] = 0;
    assert_false(keys_parse(text, back));
    assert_false(keys_parse("", back));
    assert_false(keys_parse("~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~", back));
    assert_false(keys_parse("####################%%%%%%%%%%%%%%%%%%%%", back));
}

static void the_coordinators_keys_are_made_once_and_stay_private(void **state)
{
    (void)state;
    struct err e;
    struct key_pair a, b;
    struct stat st;
    char keys[100];
    snprintf(keys, sizeof keys, "%s/state/keys", dir);
    EXPECT(ERR_INVALID, &e, keys_coordinator(keys, false, &a, &e));
    assert_non_null(strstr(e.text, "tranche keys new"));
    PASS(&e, keys_coordinator(keys, true, &a, &e));
    PASS(&e, keys_coordinator(keys, true, &b, &e));
    assert_memory_equal(&a, &b, sizeof a);
    PASS(&e, keys_coordinator(keys, false, &b, &e));
    assert_int_equal(0, stat(in_dir("state/keys/coordinator.key"), &st));
    EQ_I64(0600, st.st_mode & 07777);
    assert_int_equal(0, stat(in_dir("state/keys"), &st));
    EQ_I64(0700, st.st_mode & 07777);
}

static void the_secret_of_leases_is_the_same_every_time(void **state)
{
    (void)state;
    struct err e;
    uint8_t a[KEY_BYTES], b[KEY_BYTES];
    PASS(&e, keys_leases(dir, a, &e));
    PASS(&e, keys_leases(dir, b, &e));
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(0, unlink(in_dir("leases.key")));
    PASS(&e, keys_leases(dir, b, &e));
    assert_memory_not_equal(a, b, sizeof a);
}

static void workers_are_allowed_and_revoked(void **state)
{
    (void)state;
    struct err e;
    struct key_pair k[40];
    struct allow_list l;
    char name[20];
    PASS(&e, keys_allowed(dir, &l, &e));
    EQ_I64(0, l.n);
    for (int i = 0; i < 40; i++) {
        PASS(&e, keys_new(&k[i], &e));
        snprintf(name, sizeof name, "w%d", i);
        PASS(&e, keys_allow(dir, name, k[i].public_key, &e));
    }
    EXPECT(ERR_INVALID, &e, keys_allow(dir, "w7", k[7].public_key, &e));
    assert_non_null(strstr(e.text, "allowed already"));
    EXPECT(ERR_INVALID, &e, keys_allow(dir, "other", k[7].public_key, &e));
    assert_non_null(strstr(e.text, "worker w7"));
    EXPECT(ERR_INVALID, &e, keys_revoke(dir, "nobody", &e));
    PASS(&e, keys_revoke(dir, "w0", &e));
    PASS(&e, keys_allowed(dir, &l, &e));
    EQ_I64(39, l.n);
    assert_string_equal("w1", l.v[0].name);
    assert_memory_equal(k[39].public_key, l.v[38].key, KEY_BYTES);
    allow_list_free(&l);
}

static void names_that_could_be_anything_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "-x",        ".hidden",  "a b",
                                       "a\nb", "x/../../y", "\xc3\xa4", "a=b" };
    struct err e;
    struct key_pair k;
    PASS(&e, keys_new(&k, &e));
    for (size_t i = 0; i < N_OF(bad); i++)
        EXPECT(ERR_INVALID, &e, keys_allow(dir, bad[i], k.public_key, &e));
    assert_true(keys_name_is_good("host-1.example_x"));
}

static struct access an_access(void)
{
    struct err e;
    struct key_pair server;
    struct access a = { .name = "anna", .address = "tcp://h:1" };
    PASS(&e, keys_new(&server, &e));
    PASS(&e, keys_new(&a.own, &e));
    memcpy(a.coordinator, server.public_key, KEY_BYTES);
    return a;
}

static struct buf text_of(const struct access *a)
{
    struct err e;
    struct buf text = { 0 };
    PASS(&e, access_encode(a, &text, &e));
    return text;
}

static void who_reads_a_secret_is_dumped_and_traced_no_more(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#else
    struct err e;
    struct access a = an_access(), b;
    struct buf text = text_of(&a);
    PASS(&e, keys_write_new(in_dir("anna.access"), text.p, text.n, &e));
    buf_free(&text);
    assert_int_equal(0, prctl(PR_SET_DUMPABLE, 1));
    EXPECT(ERR_IO, &e, access_read(&b, in_dir("nobody.access"), &e));
    EQ_I64(1, prctl(PR_GET_DUMPABLE));
    PASS(&e, access_read(&b, in_dir("anna.access"), &e));
    EQ_I64(0, prctl(PR_GET_DUMPABLE));
#endif
}

static void an_access_file_brings_everything_back(void **state)
{
    (void)state;
    struct err e;
    struct access a = an_access(), b;
    struct buf text = text_of(&a);
    PASS(&e, keys_write_new(in_dir("anna.access"), text.p, text.n, &e));
    PASS(&e, access_read(&b, path, &e));
    assert_string_equal("anna", b.name);
    assert_string_equal("tcp://h:1", b.address);
    assert_memory_equal(a.coordinator, b.coordinator, KEY_BYTES);
    assert_memory_equal(&a.own, &b.own, sizeof a.own);
    EXPECT(ERR_INVALID, &e, keys_write_new(path, text.p, text.n, &e));
    assert_non_null(strstr(e.text, "there already"));
    buf_free(&text);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct access a = an_access(), b;
    struct buf text = text_of(&a);
    static const mode_t modes[] = { 0644, 0640, 0620, 0602, 0604 };
    for (size_t i = 0; i < N_OF(modes); i++) {
        put("open", (char *)text.p, modes[i]);
        EXPECT(ERR_INVALID, &e, access_read(&b, path, &e));
        assert_non_null(strstr(e.text, "chmod 600"));
    }
    buf_free(&text);
}

struct bad_file {
    const char *name, *text, *why;
};

static const struct bad_file bad_files[] = {
    { "empty", "", "no role" },
    { "not_ours", "-----BEGIN RSA PRIVATE KEY-----\n", "no role" },
    { "of_the_coordinator", "role coordinator\n", "role 'coordinator'" },
    { "without_a_name", "role worker\naddress tcp://h:1\n", "name" },
    { "without_an_address", "role worker\nname x\n", "address" },
    { "with_an_empty_address", "role worker\nname x\naddress\ncoordinator abc\n",
      "no address" },
    { "without_keys", "role worker\nname x\naddress tcp://h:1\n", "no 'coordinator' key" },
    { "with_half_a_key", "role worker\nname x\naddress tcp://h:1\ncoordinator abc\n",
      "no good 'coordinator' key" },
};

static void bad_file(void **state)
{
    const struct bad_file *t = *state;
    struct err e;
    struct access a;
    assert_int_equal(0, open_dir(NULL));
    EXPECT(ERR_INVALID, &e, access_read(&a, put("x", t->text, 0600), &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
    close_dir(NULL);
}

static void a_public_key_of_another_secret_is_noticed(void **state)
{
    (void)state;
    struct err e;
    struct access a = an_access(), b = an_access(), got;
    memcpy(a.own.public_key, b.own.public_key, KEY_BYTES);
    struct buf text = text_of(&a);
    EXPECT(ERR_INVALID, &e, access_read(&got, put("x", (char *)text.p, 0600), &e));
    assert_non_null(strstr(e.text, "does not belong"));
    buf_free(&text);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct access a;
    EXPECT(ERR_IO, &e, access_read(&a, in_dir("missing"), &e));
    EXPECT(ERR_INVALID, &e, access_read(&a, dir, &e));
    assert_int_equal(0, mkfifo(in_dir("fifo"), 0600));
    EXPECT(ERR_INVALID, &e, access_read(&a, path, &e));
}

static void a_damaged_allow_list_is_an_error_not_an_empty_list(void **state)
{
    (void)state;
    struct err e;
    struct allow_list l;
    put("allowed", "role allowed\nworker x\n", 0600);
    EXPECT(ERR_INVALID, &e, keys_allowed(dir, &l, &e));
    put("allowed", "hello\n", 0600);
    EXPECT(ERR_INVALID, &e, keys_allowed(dir, &l, &e));
    put("allowed", "role worker\n", 0600);
    EXPECT(ERR_INVALID, &e, keys_allowed(dir, &l, &e));
}

int main(void)
{
#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, open_dir, close_dir)
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_survives_its_text),
        IN_DIR(the_coordinators_keys_are_made_once_and_stay_private),
        IN_DIR(the_secret_of_leases_is_the_same_every_time),
        IN_DIR(workers_are_allowed_and_revoked),
        IN_DIR(names_that_could_be_anything_are_refused),
        IN_DIR(who_reads_a_secret_is_dumped_and_traced_no_more),
        IN_DIR(an_access_file_brings_everything_back),
        IN_DIR(a_file_that_others_can_read_is_refused),
        IN_DIR(a_public_key_of_another_secret_is_noticed),
        IN_DIR(what_is_no_file_is_refused),
        IN_DIR(a_damaged_allow_list_is_an_error_not_an_empty_list),
    };
    return test_main("keys", tests, N_OF(tests), TABLE(bad_files, bad_file),
                     N_OF(bad_files));
}

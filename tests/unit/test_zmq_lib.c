// A host without libzmq: whoever opens a link hears what to install.

#include "proto/keys.h"
#include "proto/link.h"
#include "proto/zmq_lib.h"
#include "tests/test.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);

void *__wrap_dlopen(const char *path, int flags)
{
    return strstr(path, "libzmq") ? NULL : __real_dlopen(path, flags);
}

static void a_missing_libzmq_is_told_with_its_package(void **state)
{
    struct err e;
    struct link *l = NULL;
    struct link_opts o = { .message_max_bytes = 1 << 20, .hwm = 10, .insecure = true };
    (void)state;
    EXPECT(ERR_IO, &e, link_listen(&l, "tcp://127.0.0.1:0", &o, &e));
    assert_non_null(strstr(e.text, "install libzmq5"));
    assert_null(l);
    EXPECT(ERR_IO, &e, zmq_lib_load(&e)); // it does not come back in the middle of a run
}

static void a_call_without_libzmq_ends_the_process_with_the_same_words(void **state)
{
    int pair[2], status;
    char said[400] = "", text[KEY_TEXT];
    static const uint8_t key[KEY_BYTES];
    (void)state;
    assert_int_equal(0, pipe(pair));
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pair[1], STDERR_FILENO);
        keys_text(key, text);
        _exit(0);
    }
    close(pair[1]);
    ssize_t n = read(pair[0], said, sizeof said - 1);
    assert_true(n > 0);
    assert_non_null(strstr(said, "install libzmq5"));
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    close(pair[0]);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_missing_libzmq_is_told_with_its_package),
        cmocka_unit_test(a_call_without_libzmq_ends_the_process_with_the_same_words),
    };
    return test_main("zmq_lib", plain, N_OF(plain), NULL, 0);
}

#include "proto/zmq_lib.h"

#include "common/say.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

// F(result, name, parameters, arguments): what the project calls of libzmq, and nothing
// else. Defined here under their own names; each calls the one that was loaded.
#define FUNCTIONS(F)                                                                      \
    F(int, zmq_bind, (void *s, const char *endpoint), (s, endpoint))                      \
    F(int, zmq_close, (void *s), (s))                                                     \
    F(int, zmq_connect, (void *s, const char *endpoint), (s, endpoint))                   \
    F(void *, zmq_ctx_new, (void), ())                                                    \
    F(int, zmq_ctx_set, (void *ctx, int option, int value), (ctx, option, value))         \
    F(int, zmq_ctx_term, (void *ctx), (ctx))                                              \
    F(int, zmq_errno, (void), ())                                                         \
    F(int, zmq_getsockopt, (void *s, int option, void *p, size_t *n), (s, option, p, n))  \
    F(int, zmq_msg_close, (zmq_msg_t * m), (m))                                           \
    F(void *, zmq_msg_data, (zmq_msg_t * m), (m))                                         \
    F(int, zmq_msg_get, (const zmq_msg_t *m, int property), (m, property))                \
    F(const char *, zmq_msg_gets, (const zmq_msg_t *m, const char *property),             \
      (m, property))                                                                      \
    F(int, zmq_msg_init, (zmq_msg_t * m), (m))                                            \
    F(int, zmq_msg_init_data,                                                             \
      (zmq_msg_t * m, void *p, size_t n, zmq_free_fn *give, void *h), (m, p, n, give, h)) \
    F(int, zmq_msg_init_size, (zmq_msg_t * m, size_t n), (m, n))                          \
    F(int, zmq_msg_more, (const zmq_msg_t *m), (m))                                       \
    F(int, zmq_msg_recv, (zmq_msg_t * m, void *s, int flags), (m, s, flags))              \
    F(int, zmq_msg_send, (zmq_msg_t * m, void *s, int flags), (m, s, flags))              \
    F(size_t, zmq_msg_size, (const zmq_msg_t *m), (m))                                    \
    F(int, zmq_poll, (zmq_pollitem_t * items, int n, long ms), (items, n, ms))            \
    F(int, zmq_send, (void *s, const void *p, size_t n, int flags), (s, p, n, flags))     \
    F(int, zmq_setsockopt, (void *s, int option, const void *p, size_t n),                \
      (s, option, p, n))                                                                  \
    F(void *, zmq_socket, (void *ctx, int type), (ctx, type))                             \
    F(int, zmq_socket_monitor, (void *s, const char *endpoint, int events),               \
      (s, endpoint, events))                                                              \
    F(const char *, zmq_strerror, (int number), (number))                                 \
    F(uint8_t *, zmq_z85_decode, (uint8_t * to, const char *text), (to, text))            \
    F(char *, zmq_z85_encode, (char *to, const uint8_t *p, size_t n), (to, p, n))

enum at {
#define NUMBER(result, name, parameters, arguments) AT_##name,
    FUNCTIONS(NUMBER) N_FUNCTIONS
};

static const char *const names[] = {
#define NAME(result, name, parameters, arguments) #name,
    FUNCTIONS(NAME)
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *function[N_FUNCTIONS];
static bool loaded;
static char fault[200];

// Lazily: nearly all that its libraries would have resolved is never called.
static void load(void)
{
    void *lib = dlopen("libzmq.so.5", RTLD_LAZY | RTLD_LOCAL);
    loaded = lib != NULL;
    for (int i = 0; loaded && i < N_FUNCTIONS; i++) {
        function[i] = dlsym(lib, names[i]);
        loaded = function[i] != NULL;
    }
    const char *why = loaded ? NULL : dlerror();
    snprintf(fault, sizeof fault, "%s", why ? why : "");
}

err_t zmq_lib_load(struct err *e)
{
    pthread_once(&once, load);
    return loaded ? ERR_OK
                  : err_set(e, ERR_IO,
                            "processes speak with each other through libzmq.so.5, which "
                            "cannot be loaded: install libzmq5 (%s)",
                            fault);
}

__attribute__((cold, noreturn)) static void end_without_it(void)
{
    struct err e;
    if (zmq_lib_load(&e) != ERR_OK) say_line(stderr, e.text);
    _exit(127);
}

static void *at(enum at i)
{
    pthread_once(&once, load);
    if (!loaded) end_without_it();
    return function[i];
}

#define DEFINE(result, name, parameters, arguments) \
    result name parameters                          \
    {                                               \
        result(*f) parameters = at(AT_##name);      \
        return f arguments;                         \
    }
FUNCTIONS(DEFINE)

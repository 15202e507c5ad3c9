#include "worker/curl_lib.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { RESOLVER_STACK = 256 << 10 };

static struct curl_lib lib;
static char fault[300];

static void load(void)
{
    void *so = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        snprintf(fault, sizeof fault, "%s", dlerror());
        return;
    }
#define X(name)                                     \
    *(void **)&lib.name = dlsym(so, "curl_" #name); \
    if (!lib.name && !*fault) snprintf(fault, sizeof fault, "it has no curl_" #name);
    CURL_CALLS(X)
#undef X
    if (*fault) return;
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        snprintf(fault, sizeof fault, "it cannot be initialised");
}

err_t curl_lib_get(const struct curl_lib **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    *out = &lib;
    if (!*fault) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "http needs libcurl, which this host lacks: install libcurl4 (%s)",
                   fault);
}

void curl_lib_keep_stacks_small(void)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr)) return;
    if (pthread_attr_setstacksize(&attr, RESOLVER_STACK) == 0)
        pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

#include "coordinator/web_lib.h"

#include <dlfcn.h>

err_t web_lib_get(const struct web_lib **out, struct err *e)
{
    static struct web_lib lib;
    void *so = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    if (!so)
        return err_set(e, ERR_INVALID,
                       "--page needs libmicrohttpd, which this host lacks: install "
                       "libmicrohttpd12 (%s)",
                       dlerror());
#define X(name)                                    \
    *(void **)&lib.name = dlsym(so, "MHD_" #name); \
    if (!lib.name)                                 \
        return err_set(e, ERR_INVALID, "libmicrohttpd is too old: it has no MHD_" #name);
    WEB_CALLS(X)
#undef X
    *out = &lib;
    return ERR_OK;
}

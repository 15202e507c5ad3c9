#include "worker/xf_plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

// Code that another user can change is that user's.
static err_t check_file(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st)) return err_sys(e, "plugin %s: cannot stat it", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "plugin %s: not a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(e, ERR_INVALID,
                       "plugin %s belongs to another user (uid %u): only libraries of your "
                       "own or of root are loaded",
                       path, (unsigned)st.st_uid);
    if (st.st_mode & S_IWOTH)
        return err_set(e, ERR_INVALID,
                       "plugin %s can be written by every user: take that right away "
                       "(chmod o-w)",
                       path);
    return ERR_OK;
}

static err_t check_table(const struct tranche_plugin *t, const char *path, struct err *e)
{
    if (!t)
        return err_set(e, ERR_INVALID,
                       "plugin %s does not serve ABI %d of this tranche (" TRANCHE_VERSION
                       "): build it with this version's worker/plugin.h",
                       path, TRANCHE_PLUGIN_ABI);
    if (t->abi != TRANCHE_PLUGIN_ABI)
        return err_set(e, ERR_INVALID,
                       "plugin %s is built for ABI %u, this tranche (" TRANCHE_VERSION
                       ") has ABI %d: build it with this version's worker/plugin.h",
                       path, t->abi, TRANCHE_PLUGIN_ABI);
    if (t->size < sizeof *t || !t->bind || !t->apply)
        return err_set(e, ERR_INVALID,
                       "plugin %s: its table of functions is incomplete: size, bind and "
                       "apply must be set",
                       path);
    return ERR_OK;
}

static err_t open_library(int fd, const char *path, void **library, struct err *e)
{
    char name[40];
    TRY(check_file(fd, path, e));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd); // the file that was looked at
    *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (*library) return ERR_OK;
    const char *why = dlerror();
    return err_set(e, ERR_INVALID, "plugin %s cannot be loaded: %s", path,
                   why ? why : "no reason is known");
}

err_t xf_plugin_load(const char *path, const char *at, const struct tranche_plugin **out,
                     struct err *e)
{
    void *library = NULL;
    int fd = open(at, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        err_sys(e, "plugin %s: cannot open it", path);
        if (e) e->code = ERR_INVALID;
        return ERR_INVALID;
    }
    err_t rc = open_library(fd, path, &library, e);
    close(fd);
    TRY(rc);
    const struct tranche_plugin *(*entry)(uint32_t) = NULL;
    void *symbol = dlsym(library, "tranche_plugin");
    if (!symbol)
        return err_set(e, ERR_INVALID,
                       "%s is no plugin of tranche: it does not export tranche_plugin() "
                       "(in C++ it must be extern \"C\")",
                       path);
    *(void **)&entry = symbol;
    *out = entry(TRANCHE_PLUGIN_ABI);
    return check_table(*out, path, e);
}

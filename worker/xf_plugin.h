// xf_plugin - what the parts of the plugin transform share.
//
//   xf_plugin       opens an instance and puts batches through it
//   xf_plugin_load  finds the library and its entry point

#ifndef WORKER_XF_PLUGIN_H
#define WORKER_XF_PLUGIN_H

#include "worker/arrow.h"
#include "worker/plugin.h"

// The library's table, for good: it is never unloaded, since threads that it started may
// still run its code. Runs the library's constructors: only in processes that run job code.
// ERR_INVALID with the reason: no such file, one that others may write, no library, no
// entry point, another ABI.
// `path` is what the file is called, `at` where it stands.
MUST_CHECK err_t xf_plugin_load(const char *path, const char *at,
                                const struct tranche_plugin **out, struct err *e);

#endif

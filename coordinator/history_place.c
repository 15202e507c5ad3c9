#include "coordinator/history_place.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void history_place(const char *state, const char *where, char out[RUN_STATE_DIR])
{
    char dir[RUN_STATE_DIR];
    const char *slash = where ? strrchr(where, '/') : NULL;
    if (state) {
        snprintf(out, RUN_STATE_DIR, "%s", state);
    } else if (where && is_folder(where)) {
        snprintf(dir, sizeof dir, "%.4000s/runs.db", where);
        bool itself = access(dir, F_OK) == 0;
        snprintf(out, RUN_STATE_DIR, "%.4000s%s", where, itself ? "" : "/.tranche");
    } else {
        size_t n = !slash || slash == where ? 1 : (size_t)(slash - where);
        snprintf(dir, sizeof dir, "%.*s", (int)n, slash ? where : ".");
        run_state_dir(dir, out);
    }
}

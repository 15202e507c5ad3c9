#include "common/near_file.h"

#include "common/suggest.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

enum { NAME = 256 };

static bool is_job_file(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name && (!strcasecmp(dot, ".yaml") || !strcasecmp(dot, ".yml"));
}

// Without its ending: two that have it are no nearer for that.
static void stem(const char *name, char out[NAME])
{
    size_t n = is_job_file(name) ? (size_t)(strrchr(name, '.') - name) : strlen(name);
    snprintf(out, NAME, "%.*s", (int)(n < NAME ? n : NAME - 1), name);
}

bool near_file(const char *path, char *out, size_t size)
{
    char folder[4096], wanted[NAME], best[NAME] = "";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = slash ? (size_t)(slash - path) + 1 : 0, nearest = 0;
    if (n >= sizeof folder || strlen(name) >= NAME) return false;
    snprintf(folder, sizeof folder, "%.*s", (int)n, path);
    stem(name, wanted);
    DIR *d = opendir(n ? folder : ".");
    for (struct dirent *x; d && (x = readdir(d));) {
        char here[NAME];
        struct suggest s = { .word = wanted };
        if (!is_job_file(x->d_name)) continue;
        stem(x->d_name, here);
        suggest_offer(&s, here);
        // Of two that are as near the first of the alphabet: folders have no order.
        bool nearer = s.best && (!best[0] || s.distance < nearest ||
                                 (s.distance == nearest && strcmp(x->d_name, best) < 0));
        if (!nearer) continue;
        nearest = s.distance;
        snprintf(best, sizeof best, "%s", x->d_name);
    }
    if (d) closedir(d);
    return best[0] && snprintf(out, size, "%s%s", folder, best) < (int)size;
}

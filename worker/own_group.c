#include "worker/own_group.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// Of another one it is the first group, too.
static bool is_shared(uid_t uid, gid_t gid)
{
    const struct passwd *p;
    bool shared = false;
    setpwent();
    while (!shared && (p = getpwent()))
        shared = p->pw_gid == gid && p->pw_uid != uid;
    endpwent();
    return shared;
}

bool own_group(uid_t uid, gid_t gid)
{
    char name[256];
    const struct passwd *p = getpwuid(uid);
    if (!p || p->pw_gid != gid || strlen(p->pw_name) >= sizeof name) return false;
    strcpy(name, p->pw_name);
    const struct group *g = getgrgid(gid);
    if (!g || strcmp(g->gr_name, name) != 0) return false;
    for (char *const *member = g->gr_mem; *member; member++)
        if (strcmp(*member, name) != 0) return false;
    return !is_shared(uid, gid);
}

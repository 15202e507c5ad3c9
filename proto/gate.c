#include "proto/gate.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const ns_t NEWS_EVERY = 10 * NS_S;
enum { BANNED_MAX = 1000 };

struct gate {
    pthread_mutex_t lock;
    char *dir, *path;
    struct allow_list list;
    struct stat seen;
    struct allow_list banned;
    uint64_t unknown, was_banned, strangers; // since the last news
    char last_address[64];
    ns_t told;
};

static void look(const struct gate *g, struct stat *st)
{
    if (stat(g->path, st) != 0) memset(st, 0, sizeof *st);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

err_t gate_open(struct gate **out, const char *dir, struct err *e)
{
    *out = NULL;
    if (sodium_init() < 0) return err_set(e, ERR_IO, "libsodium finds no randomness");
    struct gate *g = calloc(1, sizeof *g);
    if (!g) return err_set(e, ERR_NOMEM, "out of memory");
    pthread_mutex_init(&g->lock, NULL);
    g->told = -NEWS_EVERY;
    g->dir = strdup(dir);
    if (!g->dir || asprintf(&g->path, "%s/allowed", dir) < 0) {
        g->path = NULL;
        gate_free(&g);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    look(g, &g->seen);
    err_t rc = keys_allowed(dir, &g->list, e);
    if (rc == ERR_OK)
        *out = g;
    else
        gate_free(&g);
    return rc;
}

void gate_free(struct gate **gg)
{
    struct gate *g = *gg;
    if (!g) return;
    allow_list_free(&g->list);
    allow_list_free(&g->banned);
    pthread_mutex_destroy(&g->lock);
    free(g->path);
    free(g->dir);
    free(g);
    *gg = NULL;
}

// All of it is compared, whatever matches: how long it takes says nothing about the list.
static const struct allowed *find(const struct allow_list *l, const uint8_t *key)
{
    const struct allowed *found = NULL;
    for (size_t i = 0; i < l->n; i++)
        if (sodium_memcmp(l->v[i].key, key, KEY_BYTES) == 0) found = &l->v[i];
    return found;
}

bool gate_admit(struct gate *g, const uint8_t *key, size_t n, const char *address,
                char user[GATE_USER])
{
    char text[KEY_TEXT];
    pthread_mutex_lock(&g->lock);
    const struct allowed *a = n == KEY_BYTES ? find(&g->list, key) : NULL;
    bool banned = a && find(&g->banned, key);
    if (a && !banned) {
        keys_text(a->key, text);
        snprintf(user, GATE_USER, "%s %s", a->name, text);
    } else {
        *(banned ? &g->was_banned : &g->unknown) += 1;
        snprintf(g->last_address, sizeof g->last_address, "%s", address);
    }
    pthread_mutex_unlock(&g->lock);
    return a && !banned;
}

static bool key_of_user(const char *user, uint8_t key[KEY_BYTES])
{
    const char *space = strchr(user, ' ');
    return space && keys_parse(space + 1, key);
}

void gate_name(const char *user, char out[KEYS_NAME])
{
    size_t n = strcspn(user, " ");
    snprintf(out, KEYS_NAME, "%.*s", (int)(n < KEYS_NAME ? n : KEYS_NAME - 1), user);
}

bool gate_allows(struct gate *g, const char *user)
{
    uint8_t key[KEY_BYTES];
    char name[KEYS_NAME];
    if (!key_of_user(user, key)) return false;
    gate_name(user, name);
    pthread_mutex_lock(&g->lock);
    const struct allowed *a = find(&g->list, key);
    bool yes = a && strcmp(a->name, name) == 0 && !find(&g->banned, key);
    pthread_mutex_unlock(&g->lock);
    return yes;
}

void gate_ban(struct gate *g, const char *user)
{
    uint8_t key[KEY_BYTES];
    if (!key_of_user(user, key)) return;
    pthread_mutex_lock(&g->lock);
    struct allowed *v = g->banned.n < BANNED_MAX
                            ? realloc(g->banned.v, (g->banned.n + 1) * sizeof *v)
                            : NULL;
    if (v) {
        g->banned.v = v;
        memcpy(v[g->banned.n].key, key, KEY_BYTES);
        gate_name(user, v[g->banned.n].name);
        g->banned.n++;
    }
    pthread_mutex_unlock(&g->lock);
}

void gate_count_stranger(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->strangers++;
    pthread_mutex_unlock(&g->lock);
}

bool gate_reload(struct gate *g, bool in_any_case, struct err *why)
{
    struct stat now;
    struct allow_list fresh;
    why->text[0] = 0;
    look(g, &now);
    if (!in_any_case && same_file(&now, &g->seen)) return false;
    g->seen = now;
    if (now.st_ino == 0) {
        err_set(why, ERR_IO, "%s is gone: the list stays as it was", g->path);
        return false;
    }
    if (keys_allowed(g->dir, &fresh, why) != ERR_OK) {
        err_wrap(why, why->code, "the list of allowed workers stays as it was");
        return false;
    }
    pthread_mutex_lock(&g->lock);
    struct allow_list old = g->list;
    g->list = fresh;
    pthread_mutex_unlock(&g->lock);
    allow_list_free(&old);
    return true;
}

bool gate_news(struct gate *g, ns_t now, char *out, size_t size)
{
    pthread_mutex_lock(&g->lock);
    uint64_t n = g->unknown + g->was_banned + g->strangers;
    bool say = n > 0 && now - g->told >= NEWS_EVERY;
    if (say) {
        int k = snprintf(out, size, "%llu connection%s refused:", (unsigned long long)n,
                         n == 1 ? " was" : "s were");
        const struct {
            uint64_t n;
            const char *why;
        } part[] = { { g->unknown, "with a key that is not allowed" },
                     { g->was_banned, "of workers that broke the protocol in this run" },
                     { g->strangers, "that did not speak CURVE with our key" } };
        for (int i = 0; i < 3 && k >= 0 && (size_t)k < size; i++)
            if (part[i].n)
                k += snprintf(out + k, size - (size_t)k, " %llu %s,",
                              (unsigned long long)part[i].n, part[i].why);
        if (k > 0 && (size_t)k < size) out[k - 1] = 0;
        if (g->last_address[0] && k > 0 && (size_t)k < size)
            snprintf(out + k - 1, size - (size_t)k + 1, "; the last one from %s",
                     g->last_address);
        g->unknown = g->was_banned = g->strangers = 0;
        g->last_address[0] = 0;
        g->told = now;
    }
    pthread_mutex_unlock(&g->lock);
    return say;
}

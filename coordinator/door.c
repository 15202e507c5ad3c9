#include "coordinator/door.h"

#include "common/say.h"
#include "proto/endpoint.h"

#include <stdio.h>
#include <sys/resource.h>

enum {
    FILES_WANTED = 65536,
    FILES_OWN = 100,        // of the run itself
    CONNECTIONS_MAX = 1200, // a thousand workers, and some that come anew
    HWM = 1024,
    HWM_LANES = 65536, // of workers with hundreds of batches in flight
    TAKE_HWM = 4,      // a peer may be hostile, and a message 128 MiB long
    DIR_BYTES = 4200,
    LINGER_MS = 200
};

err_t door_prepare(struct door *d, const struct job *j, const char *state_dir,
                   struct err *e)
{
    char dir[DIR_BYTES];
    if (!j->listen) return ERR_OK;
    TRY(endpoint_check_tcp(j->listen, true, e));
    if (j->insecure) {
        say_to(stderr,
               "tranche: --insecure: %s is plaintext; whoever is on the way can read and "
               "forge everything\n",
               j->listen);
        return ERR_OK;
    }
    snprintf(dir, sizeof dir, "%s/keys", state_dir);
    TRY(keys_coordinator(dir, false, &d->keys, e));
    return gate_open(&d->gate, dir, e);
}

err_t door_secret(struct door *d, const struct job *j, const char *state_dir,
                  const char *load, const struct buf *spec, struct err *e)
{
    char dir[DIR_BYTES], text[DIR_BYTES + 600], hex[HASH_HEX];
    uint8_t master[KEY_BYTES];
    struct err why;
    snprintf(dir, sizeof dir, "%s/keys", state_dir);
    if (!j->listen || !load) return lease_secret_new(d->secret, e);
    if (keys_leases(dir, master, &why) != ERR_OK) {
        say_to(stderr,
               "tranche: %s: results that workers keep while this run is interrupted will "
               "be made anew\n",
               why.text);
        return lease_secret_new(d->secret, e);
    }
    hash_hex(hash_bytes(spec->p, spec->n), hex);
    int n = snprintf(text, sizeof text, "%s %.4600s", hex, load);
    lease_secret_of(d->secret, master, text, (size_t)n);
    keys_wipe(master, sizeof master);
    return ERR_OK;
}

// One descriptor a worker, and libzmq's thread spins when there is none left. Returns how
// many connections there may be.
static size_t allow_many_files(void)
{
    struct rlimit l, more = { FILES_WANTED, FILES_WANTED };
    if (getrlimit(RLIMIT_NOFILE, &l) != 0) return CONNECTIONS_MAX;
    if (l.rlim_cur < FILES_WANTED && setrlimit(RLIMIT_NOFILE, &more) != 0) {
        more = (struct rlimit){ l.rlim_max, l.rlim_max };
        setrlimit(RLIMIT_NOFILE, &more);
    }
    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= CONNECTIONS_MAX + FILES_OWN)
        return CONNECTIONS_MAX;
    return l.rlim_cur > 2 * FILES_OWN ? l.rlim_cur - FILES_OWN : FILES_OWN;
}

err_t door_open(struct door *d, const struct job *j, uint64_t largest, struct err *e)
{
    struct link_opts o = { .message_max_bytes = largest + MSG_HEADER_MAX,
                           .hwm = j->workers_concurrency > 1 ? HWM_LANES : HWM,
                           .take_hwm = TAKE_HWM,
                           .keys = d->gate ? &d->keys : NULL,
                           .gate = d->gate,
                           .insecure = j->insecure };
    if (!j->listen) return ERR_OK;
    o.connections_max = allow_many_files();
    return link_listen(&d->link, j->listen, &o, e);
}

void door_close(struct door *d)
{
    link_close(&d->link, LINGER_MS);
    gate_free(&d->gate);
    keys_wipe(d, sizeof *d);
}

#include "proto/keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { PATH_BYTES = 4200, FILE_MAX = 16 << 20 };

// From now on this process has a secret in it: it leaves no core file, and the user's other
// programs cannot look into it. (LeakSanitizer has to.)
static void keep_secret(void)
{
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

static err_t start_sodium(struct err *e)
{
    if (sodium_init() < 0) return err_set(e, ERR_IO, "libsodium finds no randomness");
    return ERR_OK;
}

err_t keys_new(struct key_pair *out, struct err *e)
{
    TRY(start_sodium(e));
    keep_secret();
    crypto_box_keypair(out->public_key, out->secret_key); // what CURVE uses
    return ERR_OK;
}

void keys_wipe(void *secret, size_t n)
{
    sodium_memzero(secret, n);
}

void keys_text(const uint8_t key[KEY_BYTES], char out[KEY_TEXT])
{
    zmq_z85_encode(out, key, KEY_BYTES);
}

bool keys_parse(const char *text, uint8_t out[KEY_BYTES])
{
    if (strlen(text) != KEY_TEXT - 1) return false;
    if (!zmq_z85_decode(out, text)) return false;
    char again[KEY_TEXT]; // the decoder takes letters that are none of Z85
    keys_text(out, again);
    return strcmp(again, text) == 0;
}

bool keys_name_is_good(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n >= KEYS_NAME || name[0] == '-' || name[0] == '.') return false;
    for (const char *p = name; *p; p++)
        if (!isascii((unsigned char)*p) ||
            !(isalnum((unsigned char)*p) || strchr("._-", *p)))
            return false;
    return true;
}

// ---- files ----

static err_t write_all(int fd, const char *path, const void *p, size_t n, struct err *e)
{
    for (size_t put = 0; put < n;) {
        ssize_t k = write(fd, (const char *)p + put, n - put);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return err_sys(e, "cannot write %s", path);
        put += (size_t)k;
    }
    return fsync(fd) == 0 ? ERR_OK : err_sys(e, "cannot write %s", path);
}

err_t keys_write_new(const char *path, const void *p, size_t n, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return err_set(e, ERR_INVALID, "%s is there already: nothing was written over it",
                       path);
    if (fd < 0) return err_sys(e, "cannot create %s", path);
    err_t rc = write_all(fd, path, p, n, e);
    close(fd);
    if (rc != ERR_OK) unlink(path);
    return rc;
}

static err_t private_file(int fd, const char *path, size_t *size, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st)) return err_sys(e, "%s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%s is no file that could hold keys", path);
    if (st.st_mode & 077)
        return err_set(e, ERR_INVALID,
                       "%s: others can read or change it (mode %04o): chmod 600 %s", path,
                       st.st_mode & 07777, path);
    if (st.st_size > FILE_MAX)
        return err_set(e, ERR_TOOBIG, "%s is too large for a key file", path);
    *size = (size_t)st.st_size;
    return ERR_OK;
}

// The text of a file that only its owner can read; ERR_CLOSED: there is none.
static err_t read_private(const char *path, struct buf *out, struct err *e)
{
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        err_sys(e, "%s", path);
        return ERR_CLOSED;
    }
    if (fd < 0) return err_sys(e, "%s", path);
    err_t rc = private_file(fd, path, &size, e);
    if (rc == ERR_OK) keep_secret();
    if (rc == ERR_OK) rc = buf_reserve(out, size + 1, e);
    while (rc == ERR_OK && out->n < size) {
        ssize_t k = read(fd, out->p + out->n, size - out->n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) rc = err_sys(e, "%s", path);
        if (k <= 0) break;
        out->n += (size_t)k;
    }
    close(fd);
    if (rc == ERR_OK) out->p[out->n] = 0;
    if (rc == ERR_OK && strlen((char *)out->p) != out->n)
        rc = err_set(e, ERR_INVALID, "%s is no text, so no key file", path);
    return rc;
}

static void wipe_buf(struct buf *b)
{
    if (b->p) keys_wipe(b->p, b->cap);
    buf_free(b);
}

// ---- lines ----

struct line {
    char *word, *value, *second; // "" where the line ends before
};

// Cuts the next line out of *rest, in place. False: no more.
static bool next_line(char **rest, struct line *l)
{
    static char empty[1];
    char *text;
    while ((text = strsep(rest, "\n"))) {
        char *save = NULL;
        l->word = strtok_r(text, " \t\r", &save);
        if (!l->word || l->word[0] == '#') continue;
        l->value = strtok_r(NULL, " \t\r", &save);
        l->second = l->value ? strtok_r(NULL, " \t\r", &save) : NULL;
        if (!l->value) l->value = empty;
        if (!l->second) l->second = empty;
        return true;
    }
    return false;
}

struct fields { // of a file with one value a word; NULL: not there
    const char *role, *name, *address, *coordinator, *public_key, *secret;
};

static err_t read_fields(struct fields *f, struct buf *text, const char *path,
                         const char *role, const char *what, struct err *e)
{
    *f = (struct fields){ 0 };
    struct line l;
    const struct {
        const char *word, **at;
    } known[] = { { "role", &f->role },         { "name", &f->name },
                  { "address", &f->address },   { "coordinator", &f->coordinator },
                  { "public", &f->public_key }, { "secret", &f->secret } };
    char *rest = (char *)text->p;
    while (next_line(&rest, &l))
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(l.word, known[i].word) == 0) *known[i].at = l.value;
    if (!f->role) return err_set(e, ERR_INVALID, "%s is no %s: it has no role", path, what);
    if (strcmp(f->role, role) != 0)
        return err_set(e, ERR_INVALID, "%s has the role '%.20s': wanted is %s (role '%s')",
                       path, f->role, what, role);
    return ERR_OK;
}

static err_t key_of(const char *text, uint8_t out[KEY_BYTES], const char *path,
                    const char *word, struct err *e)
{
    if (text && keys_parse(text, out)) return ERR_OK;
    return err_set(e, ERR_INVALID, "%s: %s '%s' key in it", path,
                   text ? "there is no good" : "there is no", word);
}

static err_t pair_of(const struct fields *f, struct key_pair *out, const char *path,
                     struct err *e)
{
    uint8_t want[KEY_BYTES];
    TRY(start_sodium(e));
    TRY(key_of(f->public_key, out->public_key, path, "public", e));
    TRY(key_of(f->secret, out->secret_key, path, "secret", e));
    if (crypto_scalarmult_base(want, out->secret_key) != 0 ||
        sodium_memcmp(want, out->public_key, KEY_BYTES) != 0)
        return err_set(e, ERR_INVALID, "%s: its public key does not belong to its secret",
                       path);
    return ERR_OK;
}

// ---- the keys folder ----

static err_t path_in(char out[PATH_BYTES], const char *dir, const char *name, struct err *e)
{
    if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES - 64) return ERR_OK;
    return err_set(e, ERR_TOOBIG, "%.100s...: the path is too long", dir);
}

// DIR and the folder that it stands in: 0700.
static err_t make_folder(const char *dir, struct err *e)
{
    char above[PATH_BYTES];
    TRY(path_in(above, dir, "", e));
    above[strlen(dir)] = 0;
    char *slash = strrchr(above, '/');
    if (slash && slash != above) {
        *slash = 0;
        if (mkdir(above, 0700) != 0 && errno != EEXIST)
            return err_sys(e, "cannot create %s", above);
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_sys(e, "cannot create %s", dir);
    return ERR_OK;
}

// Whoever changes something in the folder holds this.
static err_t lock_folder(const char *dir, int *fd, struct err *e)
{
    TRY(make_folder(dir, e));
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) return err_sys(e, "%s", dir);
    if (flock(*fd, LOCK_EX) == 0) return ERR_OK;
    err_sys(e, "cannot lock %s", dir);
    close(*fd);
    return ERR_IO;
}

// Under another name first: readers never see half a file.
static err_t replace_file(const char *dir, const char *name, const struct buf *text,
                          struct err *e)
{
    char path[PATH_BYTES], fresh[PATH_BYTES + 8];
    TRY(path_in(path, dir, name, e));
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh);
    TRY(keys_write_new(fresh, text->p, text->n, e));
    if (rename(fresh, path) != 0) return err_sys(e, "cannot write %s", path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        err_sys(e, "cannot write %s", dir);
        if (fd >= 0) close(fd);
        return ERR_IO;
    }
    close(fd);
    return ERR_OK;
}

static err_t read_coordinator(const char *path, struct key_pair *out, struct err *e)
{
    struct buf text = { 0 };
    struct fields f;
    err_t rc = read_private(path, &text, e);
    if (rc == ERR_OK)
        rc = read_fields(&f, &text, path, "coordinator", "a coordinator's key file", e);
    if (rc == ERR_OK) rc = pair_of(&f, out, path, e);
    wipe_buf(&text);
    return rc;
}

static err_t write_pair(const char *dir, const char *name, const struct key_pair *k,
                        struct err *e)
{
    struct buf text = { 0 };
    char pub[KEY_TEXT], secret[KEY_TEXT];
    keys_text(k->public_key, pub);
    keys_text(k->secret_key, secret);
    err_t rc = buf_printf(&text, e,
                          "# Key pair of the coordinator: keep it secret.\n"
                          "role coordinator\npublic %s\nsecret %s\n",
                          pub, secret);
    if (rc == ERR_OK) rc = replace_file(dir, name, &text, e);
    keys_wipe(secret, sizeof secret);
    wipe_buf(&text);
    return rc;
}

err_t keys_coordinator(const char *dir, bool create, struct key_pair *out, struct err *e)
{
    char path[PATH_BYTES];
    int lock;
    TRY(path_in(path, dir, "coordinator.key", e));
    err_t rc = read_coordinator(path, out, e);
    if (rc == ERR_CLOSED && !create)
        return err_set(e, ERR_INVALID,
                       "there are no keys in %s: make them with 'tranche keys new --worker "
                       "NAME --address tcp://HOST:PORT'",
                       dir);
    if (rc != ERR_CLOSED) return rc;
    TRY(lock_folder(dir, &lock, e));
    rc = read_coordinator(path, out, e); // another one may have been faster
    if (rc == ERR_CLOSED) {
        rc = keys_new(out, e);
        if (rc == ERR_OK) rc = write_pair(dir, "coordinator.key", out, e);
    }
    close(lock);
    return rc;
}

static err_t read_leases(const char *path, uint8_t out[KEY_BYTES], struct err *e)
{
    struct buf text = { 0 };
    struct fields f;
    err_t rc = read_private(path, &text, e);
    if (rc == ERR_OK) rc = read_fields(&f, &text, path, "leases", "the key of leases", e);
    if (rc == ERR_OK) rc = key_of(f.secret, out, path, "secret", e);
    wipe_buf(&text);
    return rc;
}

static err_t make_leases(const char *dir, uint8_t out[KEY_BYTES], struct err *e)
{
    struct buf text = { 0 };
    char secret[KEY_TEXT];
    TRY(start_sodium(e));
    keep_secret();
    randombytes_buf(out, KEY_BYTES);
    keys_text(out, secret);
    err_t rc = buf_printf(&text, e, "role leases\nsecret %s\n", secret);
    if (rc == ERR_OK) rc = replace_file(dir, "leases.key", &text, e);
    keys_wipe(secret, sizeof secret);
    wipe_buf(&text);
    return rc;
}

err_t keys_leases(const char *dir, uint8_t out[KEY_BYTES], struct err *e)
{
    char path[PATH_BYTES];
    int lock;
    TRY(path_in(path, dir, "leases.key", e));
    err_t rc = read_leases(path, out, e);
    if (rc != ERR_CLOSED) return rc;
    TRY(lock_folder(dir, &lock, e));
    rc = read_leases(path, out, e);
    if (rc == ERR_CLOSED) rc = make_leases(dir, out, e);
    close(lock);
    return rc;
}

// ---- the allow list ----

void allow_list_free(struct allow_list *l)
{
    free(l->v);
    *l = (struct allow_list){ 0 };
}

static err_t add(struct allow_list *l, const char *name, const uint8_t key[KEY_BYTES],
                 struct err *e)
{
    if (l->n >= KEYS_WORKERS_MAX)
        return err_set(e, ERR_TOOBIG, "more than %d workers are allowed", KEYS_WORKERS_MAX);
    if ((l->n & (l->n - 1)) == 0) { // full at every power of two
        struct allowed *v = realloc(l->v, (l->n ? 2 * l->n : 1) * sizeof *v);
        if (!v) return err_set(e, ERR_NOMEM, "out of memory");
        l->v = v;
    }
    struct allowed *a = &l->v[l->n++];
    *a = (struct allowed){ 0 };
    snprintf(a->name, sizeof a->name, "%s", name);
    memcpy(a->key, key, KEY_BYTES);
    return ERR_OK;
}

static err_t parse_allowed(struct buf *text, const char *path, struct allow_list *out,
                           struct err *e)
{
    struct line l;
    bool role = false;
    char *rest = (char *)text->p;
    while (next_line(&rest, &l)) {
        uint8_t key[KEY_BYTES];
        if (strcmp(l.word, "role") == 0) {
            role = strcmp(l.value, "allowed") == 0;
            if (!role) break;
            continue;
        }
        if (strcmp(l.word, "worker") != 0 || !keys_name_is_good(l.value) ||
            !keys_parse(l.second, key))
            return err_set(e, ERR_INVALID,
                           "%s: '%.60s %.60s' is not 'worker NAME PUBLICKEY'", path, l.word,
                           l.value);
        TRY(add(out, l.value, key, e));
    }
    if (!role) return err_set(e, ERR_INVALID, "%s is no list of allowed workers", path);
    return ERR_OK;
}

err_t keys_allowed(const char *dir, struct allow_list *out, struct err *e)
{
    char path[PATH_BYTES];
    struct buf text = { 0 };
    *out = (struct allow_list){ 0 };
    TRY(path_in(path, dir, "allowed", e));
    err_t rc = read_private(path, &text, e);
    if (rc == ERR_OK) rc = parse_allowed(&text, path, out, e);
    if (rc == ERR_CLOSED) rc = ERR_OK;
    if (rc != ERR_OK) allow_list_free(out);
    buf_free(&text);
    return rc;
}

static err_t write_allowed(const char *dir, const struct allow_list *l, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = buf_printf(&text, e,
                          "# Workers that may come in. 'tranche keys' writes this file; a "
                          "running coordinator\n# sees every change.\nrole allowed\n");
    for (size_t i = 0; rc == ERR_OK && i < l->n; i++) {
        char key[KEY_TEXT];
        keys_text(l->v[i].key, key);
        rc = buf_printf(&text, e, "worker %s %s\n", l->v[i].name, key);
    }
    if (rc == ERR_OK) rc = replace_file(dir, "allowed", &text, e);
    buf_free(&text);
    return rc;
}

err_t keys_allow(const char *dir, const char *name, const uint8_t key[KEY_BYTES],
                 struct err *e)
{
    struct allow_list l = { 0 };
    int lock;
    if (!keys_name_is_good(name))
        return err_set(
            e, ERR_INVALID,
            "'%.60s' is no name of a worker or client: 1 to %d letters, digits, '.', '_' "
            "and '-', not beginning with '.' or '-'",
            name, KEYS_NAME - 1);
    TRY(lock_folder(dir, &lock, e));
    err_t rc = keys_allowed(dir, &l, e);
    for (size_t i = 0; rc == ERR_OK && i < l.n; i++) {
        bool same_key = sodium_memcmp(l.v[i].key, key, KEY_BYTES) == 0;
        if (strcmp(l.v[i].name, name) == 0)
            rc = err_set(e, ERR_INVALID,
                         "%s is allowed already: 'tranche keys revoke' it first", name);
        else if (same_key)
            rc = err_set(e, ERR_INVALID, "this is the key of worker %s: one key a worker",
                         l.v[i].name);
    }
    if (rc == ERR_OK) rc = add(&l, name, key, e);
    if (rc == ERR_OK) rc = write_allowed(dir, &l, e);
    allow_list_free(&l);
    close(lock);
    return rc;
}

err_t keys_revoke(const char *dir, const char *name, struct err *e)
{
    struct allow_list l = { 0 };
    int lock;
    size_t kept = 0;
    TRY(lock_folder(dir, &lock, e));
    err_t rc = keys_allowed(dir, &l, e);
    for (size_t i = 0; rc == ERR_OK && i < l.n; i++)
        if (strcmp(l.v[i].name, name) != 0) l.v[kept++] = l.v[i];
    if (rc == ERR_OK && kept == l.n)
        rc = err_set(e, ERR_INVALID,
                     "no worker '%.60s' is allowed; 'tranche keys list' shows them", name);
    l.n = kept;
    if (rc == ERR_OK) rc = write_allowed(dir, &l, e);
    allow_list_free(&l);
    close(lock);
    return rc;
}

// ---- access files ----

err_t access_encode(const struct access *a, struct buf *out, struct err *e)
{
    char server[KEY_TEXT], pub[KEY_TEXT], secret[KEY_TEXT];
    keys_text(a->coordinator, server);
    keys_text(a->own.public_key, pub);
    keys_text(a->own.secret_key, secret);
    err_t rc = buf_printf(out, e,
                          "# Access of one worker to one coordinator: keep it secret.\n"
                          "# Copy it to the worker's host (mode 600), and there:\n"
                          "#   tranche-worker --access FILE\n"
                          "role worker\nname %s\naddress %s\ncoordinator %s\npublic %s\n"
                          "secret %s\n",
                          a->name, a->address, server, pub, secret);
    keys_wipe(secret, sizeof secret);
    return rc;
}

static err_t access_of(struct access *out, const struct fields *f, const char *path,
                       struct err *e)
{
    if (!f->name || !keys_name_is_good(f->name))
        return err_set(e, ERR_INVALID, "%s: there is no good worker's name in it", path);
    if (!f->address || !*f->address || strlen(f->address) >= KEYS_ADDRESS)
        return err_set(e, ERR_INVALID, "%s: there is no address in it", path);
    snprintf(out->name, sizeof out->name, "%s", f->name);
    snprintf(out->address, sizeof out->address, "%s", f->address);
    TRY(key_of(f->coordinator, out->coordinator, path, "coordinator", e));
    return pair_of(f, &out->own, path, e);
}

err_t access_read(struct access *out, const char *path, struct err *e)
{
    struct buf text = { 0 };
    struct fields f;
    *out = (struct access){ 0 };
    err_t rc = read_private(path, &text, e);
    if (rc == ERR_CLOSED) rc = ERR_IO;
    if (rc == ERR_OK)
        rc = read_fields(&f, &text, path, "worker", "a worker's access file", e);
    if (rc == ERR_OK) rc = access_of(out, &f, path, e);
    wipe_buf(&text);
    return rc;
}

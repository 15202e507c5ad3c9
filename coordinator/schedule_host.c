#include "coordinator/schedule_host.h"

#include "coordinator/engine.h"
#include "proto/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, UNIT_MAX = 64 << 10 };

const char *schedule_host_name(enum schedule_by by)
{
    static const char *const names[] = { "systemd", "systemd --user", "cron" };
    return names[by];
}

// ---- which ----

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// sd_booted(3), and where the user's manager has its socket.
static bool systemd_runs(bool user)
{
    char path[PATH_BYTES];
    const char *run = getenv("XDG_RUNTIME_DIR");
    if (!is_folder("/run/systemd/system")) return false;
    if (run && *run)
        snprintf(path, sizeof path, "%s/systemd", run);
    else
        snprintf(path, sizeof path, "/run/user/%u/systemd", (unsigned)getuid());
    return !user || is_folder(path);
}

static bool in_path(const char *program)
{
    char path[PATH_BYTES];
    const char *p = getenv("PATH");
    for (size_t n; p && *p; p += n + (p[n] == ':')) {
        n = strcspn(p, ":");
        int k = snprintf(path, sizeof path, "%.*s/%s", (int)n, p, program);
        if (k < (int)sizeof path && access(path, X_OK) == 0) return true;
    }
    return false;
}

err_t schedule_host_pick(bool user, enum schedule_by *out, struct err *e)
{
    user |= geteuid() != 0;
    *out = !systemd_runs(user) ? SCHEDULE_CRON
           : user              ? SCHEDULE_SYSTEMD_USER
                               : SCHEDULE_SYSTEMD;
    if (*out != SCHEDULE_CRON || in_path("crontab")) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "neither systemd nor cron runs here: install cron, or take what "
                   "--dry-run --systemd or --dry-run --cron prints to where they do");
}

// ---- files of systemd ----

static err_t folder_of(enum schedule_by by, char out[PATH_BYTES], struct err *e)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;
    if (by == SCHEDULE_SYSTEMD)
        n = snprintf(out, PATH_BYTES, "/etc/systemd/system");
    else if (config && *config == '/')
        n = snprintf(out, PATH_BYTES, "%s/systemd/user", config);
    else if (home && *home == '/')
        n = snprintf(out, PATH_BYTES, "%s/.config/systemd/user", home);
    else
        return err_set(e, ERR_INVALID, "neither XDG_CONFIG_HOME nor HOME names a folder");
    return n < PATH_BYTES - 300 ? ERR_OK : err_set(e, ERR_TOOBIG, "HOME is too long");
}

static err_t unit_path(const struct schedule *s, const char *kind, char out[PATH_BYTES],
                       struct err *e)
{
    char dir[PATH_BYTES];
    TRY(folder_of(s->by, dir, e));
    if (snprintf(out, PATH_BYTES, "%s/tranche-%s.%s", dir, s->name, kind) < PATH_BYTES)
        return ERR_OK;
    return err_set(e, ERR_TOOBIG, "the path of its units is too long");
}

static err_t make_folders(const char *path, struct err *e)
{
    char part[PATH_BYTES];
    for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_sys(e, "cannot create %s", part);
    }
    return ERR_OK;
}

// ERR_IO; a file that is not there is empty.
static err_t read_unit(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return ERR_OK;
    if (fd < 0) return err_sys(e, "cannot read %s", path);
    err_t rc = buf_reserve(out, UNIT_MAX, e);
    while (rc == ERR_OK && out->n < UNIT_MAX) {
        ssize_t n = read(fd, out->p + out->n, UNIT_MAX - out->n);
        if (n == 0) break;
        if (n > 0)
            out->n += (size_t)n;
        else if (errno != EINTR)
            rc = err_sys(e, "cannot read %s", path);
    }
    close(fd);
    return rc;
}

static err_t sync_folder(const char *path, struct err *e)
{
    char dir[PATH_BYTES];
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err_t rc = fd >= 0 && fsync(fd) == 0 ? ERR_OK : err_sys(e, "cannot write %s", dir);
    if (fd >= 0) close(fd);
    return rc;
}

static err_t put_unit(const char *path, const struct buf *text, struct err *e)
{
    char fresh[PATH_BYTES + 8];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    unlink(fresh);
    TRY(make_folders(path, e));
    TRY(keys_write_new(fresh, text->p, text->n, e));
    if (chmod(fresh, 0644) != 0 || rename(fresh, path) != 0) {
        err_t rc = err_sys(e, "cannot write %s", path);
        unlink(fresh);
        return rc;
    }
    return sync_folder(path, e);
}

// A unit of somebody else is not written over, and later not removed as one of ours.
static err_t check_unit(const struct schedule *s, const char *kind, struct err *e)
{
    char path[PATH_BYTES];
    struct buf there = { 0 };
    struct schedule was = { 0 };
    bool ours = false;
    TRY(unit_path(s, kind, path, e));
    err_t rc = read_unit(path, &there, e);
    if (rc == ERR_OK)
        rc = schedule_read((struct slice){ there.p, there.n }, &was, &ours, e);
    if (rc == ERR_OK && there.n && !ours)
        rc = err_set(e, ERR_INVALID,
                     "%s is not of tranche schedule: give the job another name, or remove "
                     "that unit",
                     path);
    schedule_free(&was);
    buf_free(&there);
    return rc;
}

typedef err_t unit_text(const struct schedule *s, struct buf *out, struct err *e);

static err_t write_unit(const struct schedule *s, const char *kind, unit_text *make,
                        bool *changed, struct err *e)
{
    char path[PATH_BYTES];
    struct buf text = { 0 }, there = { 0 };
    TRY(unit_path(s, kind, path, e));
    err_t rc = make(s, &text, e);
    if (rc == ERR_OK) rc = read_unit(path, &there, e);
    *changed = text.n != there.n || (text.n && memcmp(text.p, there.p, text.n) != 0);
    if (rc == ERR_OK && *changed) rc = put_unit(path, &text, e);
    buf_free(&text);
    buf_free(&there);
    return rc;
}

// ---- commands ----

static err_t systemctl_words(const struct schedule *s, const char *verb,
                             struct strings *words, struct err *e)
{
    TRY(engine_add(words, e, "systemctl", NULL));
    if (s->by == SCHEDULE_SYSTEMD_USER) TRY(engine_add(words, e, "--user", NULL));
    TRY(engine_add(words, e, verb, NULL));
    if (strcmp(verb, "daemon-reload") == 0) return ERR_OK;
    if (strcmp(verb, "clean") == 0) TRY(engine_add(words, e, "--what=state", NULL));
    if (strcmp(verb, "enable") == 0 || strcmp(verb, "disable") == 0)
        TRY(engine_add(words, e, "--now", NULL));
    return engine_addf(words, e, "tranche-%s.timer", s->name);
}

static err_t systemctl(const struct schedule *s, const char *verb, struct err *e)
{
    struct strings words = { 0 };
    err_t rc = systemctl_words(s, verb, &words, e);
    if (rc == ERR_OK) rc = engine_call(&words, NULL, e);
    strings_free(&words);
    return rc;
}

// systemd keeps when a timer last elapsed, and makes up for what it has missed since: of
// another schedule, or of one that was taken out for a while, it is to make up for nothing.
// An old systemd cannot forget that; then one run begins at once.
static void forget_the_last(const struct schedule *s)
{
    struct err ignored;
    (void)!systemctl(s, "clean", &ignored);
}

// An empty one when the user has none, or may have none: then nothing can be written, too.
static err_t crontab_read(struct buf *out, struct err *e)
{
    struct strings words = { 0 };
    err_t rc = engine_add(&words, e, "crontab", "-l", NULL);
    if (rc == ERR_OK) rc = engine_call(&words, out, e);
    bool none = rc == ERR_IO && (strstr(e->text, "no crontab for ") ||
                                 strstr(e->text, "not allowed to use this program"));
    if (none) rc = ERR_OK;
    strings_free(&words);
    return rc;
}

static err_t crontab_write(const struct buf *text, struct err *e)
{
    struct strings words = { 0 };
    err_t rc = engine_add(&words, e, "crontab", "-", NULL);
    if (rc == ERR_OK) rc = engine_give(&words, (struct slice){ text->p, text->n }, e);
    strings_free(&words);
    return rc;
}

// `with` NULL: without those of NAME.
static err_t crontab_change(const char *name, const struct schedule *with, bool *changed,
                            struct err *e)
{
    struct buf was = { 0 }, is = { 0 };
    err_t rc = crontab_read(&was, e);
    if (rc == ERR_OK)
        rc = schedule_replace((struct slice){ was.p, was.n }, name, with, &is, changed, e);
    if (rc == ERR_OK && *changed) rc = crontab_write(&is, e);
    buf_free(&was);
    buf_free(&is);
    return rc;
}

// ---- all of them ----

struct found {
    struct schedule *v;
    size_t n;
};

static err_t add(struct found *f, struct schedule *s, enum schedule_by by, struct err *e)
{
    struct schedule *v = realloc(f->v, (f->n + 1) * sizeof *v);
    if (!v) {
        schedule_free(s);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    s->by = by;
    f->v = v;
    f->v[f->n++] = *s;
    return ERR_OK;
}

static err_t list_unit(struct found *f, const char *path, enum schedule_by by,
                       struct err *e)
{
    struct buf text = { 0 };
    struct schedule s;
    bool found = false;
    err_t rc = read_unit(path, &text, e);
    if (rc == ERR_OK) rc = schedule_read((struct slice){ text.p, text.n }, &s, &found, e);
    if (found) rc = add(f, &s, by, e);
    buf_free(&text);
    return rc;
}

static err_t list_units(struct found *f, enum schedule_by by, struct err *e)
{
    char dir[PATH_BYTES], path[PATH_BYTES + 300];
    struct dirent *d;
    err_t rc = ERR_OK;
    if (folder_of(by, dir, e) != ERR_OK) return ERR_OK;
    DIR *open = opendir(dir);
    while (open && rc == ERR_OK && (d = readdir(open))) {
        size_t n = strlen(d->d_name);
        if (strncmp(d->d_name, "tranche-", 8) != 0 || n < 6 ||
            strcmp(d->d_name + n - 6, ".timer") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        rc = list_unit(f, path, by, e);
    }
    if (open) closedir(open);
    return rc;
}

static err_t list_crontab(struct found *f, struct err *e)
{
    struct buf text = { 0 };
    struct slice lines;
    struct schedule s;
    size_t at = 0;
    bool more = true, found;
    err_t rc = in_path("crontab") ? crontab_read(&text, e) : ERR_OK;
    while (rc == ERR_OK && more) {
        rc = schedule_find((struct slice){ text.p, text.n }, &at, &more, &lines, e);
        found = false;
        if (rc == ERR_OK && more) rc = schedule_read(lines, &s, &found, e);
        if (found) rc = add(f, &s, SCHEDULE_CRON, e);
    }
    buf_free(&text);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct schedule *)a)->name, ((const struct schedule *)b)->name);
}

err_t schedule_host_list(struct schedule **v, size_t *n, struct err *e)
{
    struct found f = { 0 };
    err_t rc = list_units(&f, SCHEDULE_SYSTEMD, e);
    if (rc == ERR_OK) rc = list_units(&f, SCHEDULE_SYSTEMD_USER, e);
    if (rc == ERR_OK) rc = list_crontab(&f, e);
    if (f.n) qsort(f.v, f.n, sizeof *f.v, by_name);
    *v = f.v;
    *n = f.n;
    return rc;
}

void schedule_host_free(struct schedule **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        schedule_free(&(*v)[i]);
    free(*v);
    *v = NULL;
}

// ---- what is done ----

static err_t show_unit(const struct schedule *s, const char *kind, unit_text *make,
                       struct buf *out, struct err *e)
{
    char path[PATH_BYTES];
    TRY(unit_path(s, kind, path, e));
    TRY(buf_printf(out, e, "==> %s\n", path));
    TRY(make(s, out, e));
    return buf_printf(out, e, "\n");
}

static err_t show_command(const struct schedule *s, const char *verb, struct buf *out,
                          struct err *e)
{
    struct strings words = { 0 };
    err_t rc = systemctl_words(s, verb, &words, e);
    if (rc == ERR_OK) rc = engine_text(out, &words, e);
    strings_free(&words);
    TRY(rc);
    return buf_printf(out, e, "\n");
}

err_t schedule_host_show(const struct schedule *s, struct buf *out, struct err *e)
{
    if (s->by == SCHEDULE_CRON) {
        TRY(buf_printf(out, e, "==> crontab\n"));
        return schedule_lines(s, out, e);
    }
    TRY(show_unit(s, "service", schedule_service, out, e));
    TRY(show_unit(s, "timer", schedule_timer, out, e));
    TRY(show_command(s, "daemon-reload", out, e));
    return show_command(s, "enable", out, e);
}

err_t schedule_host_install(const struct schedule *s, bool *changed, struct err *e)
{
    bool service = false, timer = false;
    if (s->by == SCHEDULE_CRON) return crontab_change(s->name, s, changed, e);
    TRY(check_unit(s, "service", e));
    TRY(check_unit(s, "timer", e));
    TRY(write_unit(s, "service", schedule_service, &service, e));
    TRY(write_unit(s, "timer", schedule_timer, &timer, e));
    *changed = service || timer;
    err_t rc = systemctl(s, "daemon-reload", e);
    if (rc == ERR_OK && timer) rc = systemctl(s, "stop", e); // it may run by other times
    if (rc == ERR_OK && timer) forget_the_last(s);
    if (rc == ERR_OK) rc = systemctl(s, "enable", e);
    return rc == ERR_OK ? rc : err_wrap(e, rc, "the units are written, but not enabled");
}

err_t schedule_host_remove(const struct schedule *s, struct err *e)
{
    bool changed;
    char path[PATH_BYTES];
    static const char *const kinds[] = { "timer", "service" };
    if (s->by == SCHEDULE_CRON) return crontab_change(s->name, NULL, &changed, e);
    TRY(systemctl(s, "disable", e));
    forget_the_last(s);
    for (int i = 0; i < 2; i++) {
        TRY(unit_path(s, kinds[i], path, e));
        if (unlink(path) != 0 && errno != ENOENT)
            return err_sys(e, "cannot remove %s", path);
    }
    return systemctl(s, "daemon-reload", e);
}

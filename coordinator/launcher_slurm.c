// Workers as tasks of job arrays, all with one job name that nobody else has: squeue and
// scancel find them by it.

#include "coordinator/launcher.h"
#include "coordinator/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARRAY_MAX = 1000 }; // Slurm's own default is one more

struct task { // as "12_3"
    char id[48];
};

struct launcher {
    const struct launcher_opts *o;
    char name[32];
    bool started;
    struct seen ended;
    struct task *pending; // at the last count
    uint32_t n_pending, cap_pending;
};

// ---- opening ----

static err_t make_folder(const char *path, struct err *e)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return ERR_OK;
    return err_sys(e, "cannot make the folder %s for what workers say", path);
}

static err_t open_slurm(struct launcher **out, const struct launcher_opts *o, struct err *e)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return err_sys(e, "no random numbers");
    if (!o->show) TRY(make_folder(o->logs, e));
    struct launcher *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    l->o = o;
    snprintf(l->name, sizeof l->name, "tranche-%08x", o->show ? 0 : random);
    *out = l;
    return ERR_OK;
}

static uint32_t room(const struct launcher *l)
{
    (void)l;
    return UINT32_MAX;
}

// ---- starting ----

// The batch script's only line. Where nothing is said a worker takes the cores that the
// allocation has on its node.
static err_t wrap(const struct launcher *l, bool stays, struct buf *out, struct err *e)
{
    struct strings words = { 0 };
    err_t rc = buf_printf(out, e, "exec ");
    if (rc == ERR_OK) rc = launcher_worker(&words, l->o, l->o->slots, stays, e);
    if (rc == ERR_OK) rc = engine_text(out, &words, e);
    if (rc == ERR_OK && !l->o->slots)
        rc = buf_printf(out, e, " --slots \"${SLURM_CPUS_ON_NODE:-1}\"");
    if (rc == ERR_OK) rc = buf_add(out, "", 1, e);
    strings_free(&words);
    return rc;
}

// Of an option that is given twice sbatch takes the last.
static err_t sbatch(const struct launcher *l, uint32_t n, bool stays, struct strings *out,
                    struct err *e)
{
    struct buf script = { 0 };
    err_t rc = engine_add(out, e, "sbatch", "--parsable", NULL);
    if (rc == ERR_OK && l->o->slots)
        rc = engine_addf(out, e, "--cpus-per-task=%u", l->o->slots);
    if (rc == ERR_OK) rc = engine_addf(out, e, "--output=%s/%%A_%%a.log", l->o->logs);
    if (rc == ERR_OK) rc = engine_add_all(out, l->o->args, l->o->n_args, e);
    if (rc == ERR_OK) rc = engine_addf(out, e, "--job-name=%s", l->name);
    if (rc == ERR_OK) rc = engine_addf(out, e, "--array=0-%u", n - 1);
    if (rc == ERR_OK) rc = wrap(l, stays, &script, e);
    if (rc == ERR_OK) rc = engine_addf(out, e, "--wrap=%s", (const char *)script.p);
    buf_free(&script);
    return rc;
}

static err_t start(struct launcher *l, uint32_t n, bool stays, struct err *e)
{
    for (uint32_t k; n > 0; n -= k) {
        struct strings command = { 0 };
        k = n < ARRAY_MAX ? n : ARRAY_MAX;
        err_t built = sbatch(l, k, stays, &command, e);
        l->started = true; // one that fails may have submitted before
        TRY(launcher_call(l->o, built, &command, NULL, e));
    }
    return ERR_OK;
}

// ---- watching ----

static bool is_one_of(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return true;
    return false;
}

static void explain(const struct launcher *l, const char *task, const char *state,
                    struct launcher_count *out)
{
    char path[4200], said[ENGINE_SAID];
    snprintf(path, sizeof path, "%s/%s.log", l->o->logs, task);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    engine_last_lines(fd, said);
    if (fd >= 0) close(fd);
    snprintf(out->why, sizeof out->why, "task %s ended as %s: %s%.200s", task, state,
             said[0]   ? said
             : fd >= 0 ? "it said nothing in "
                       : "what it said cannot be read here: ",
             said[0] ? "" : path);
}

static err_t add_pending(struct launcher *l, const struct task *t, struct err *e)
{
    if (l->n_pending == l->cap_pending) {
        uint32_t cap = l->cap_pending ? 2 * l->cap_pending : 64;
        struct task *v = realloc(l->pending, cap * sizeof *v);
        if (!v) return err_set(e, ERR_NOMEM, "out of memory");
        l->pending = v;
        l->cap_pending = cap;
    }
    l->pending[l->n_pending++] = *t;
    return ERR_OK;
}

// A line of squeue: array, index, state.
static err_t take_line(struct launcher *l, const char *line, struct launcher_count *out,
                       struct err *e)
{
    unsigned long long job, index;
    char state[16];
    struct task t;
    bool is_new;
    if (sscanf(line, "%llu %llu %15s", &job, &index, state) != 3) return ERR_OK;
    snprintf(t.id, sizeof t.id, "%llu_%llu", job, index);
    if (is_one_of(state, "PD CF RQ RF RD")) {
        out->pending++;
        return add_pending(l, &t, e);
    }
    if (!is_one_of(state, "CD CA F TO NF OOM BF DL PR RV")) {
        out->up++; // R, CG, S ...
        return ERR_OK;
    }
    TRY(seen_add(&l->ended, t.id, &is_new, e));
    if (is_new && is_one_of(state, "F OOM BF")) {
        out->failed++;
        explain(l, t.id, state, out);
    } else if (is_new && strcmp(state, "CD") == 0) {
        out->ended_well++; // and not: was ended, by a time limit say
    }
    return ERR_OK;
}

static err_t count(struct launcher *l, struct launcher_count *out, struct err *e)
{
    struct strings command = { 0 };
    *out = (struct launcher_count){ 0 };
    l->n_pending = 0;
    if (!l->started) return ERR_OK;
    err_t rc =
        engine_add(&command, e, "squeue", "-h", "-r", "-t", "all", "-o", "%F %K %t", NULL);
    if (rc == ERR_OK) rc = engine_addf(&command, e, "--name=%s", l->name);
    return launcher_lines(l, l->o, rc, &command, take_line, out, e);
}

// ---- stopping ----

static err_t stop(struct launcher *l, uint32_t n, struct err *e)
{
    struct strings command = { 0 };
    if (n > l->n_pending) n = l->n_pending;
    if (n == 0) return ERR_OK;
    err_t rc = engine_add(&command, e, "scancel", "--state=PENDING", NULL);
    while (rc == ERR_OK && n-- > 0)
        rc = engine_add(&command, e, l->pending[--l->n_pending].id, NULL);
    return launcher_call(l->o, rc, &command, NULL, e);
}

static err_t cancel_all(const struct launcher *l, struct err *e)
{
    struct strings command = { 0 };
    err_t rc = engine_addf(&command, e, "scancel");
    if (rc == ERR_OK) rc = engine_addf(&command, e, "--name=%s", l->name);
    return launcher_call(l->o, rc, &command, NULL, e);
}

static err_t close_slurm(struct launcher **l_, bool keep, struct err *e)
{
    struct launcher *l = *l_;
    err_t rc = l->started && !keep ? cancel_all(l, e) : ERR_OK;
    seen_free(&l->ended);
    free(l->pending);
    free(l);
    *l_ = NULL;
    return rc;
}

const struct launcher_ops launcher_slurm = { "slurm", open_slurm, room,       start,
                                             count,   stop,       close_slurm };

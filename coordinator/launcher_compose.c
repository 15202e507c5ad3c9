// Workers as containers of one service: docker-compose is told how many there should be.
// A container that is one too many gets SIGTERM and time to finish its batches.

#include "coordinator/launcher.h"
#include "coordinator/seen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct launcher {
    const struct launcher_opts *o;
    struct strings ids;   // of the last count
    struct seen dead;     // containers that are known to have ended
    uint32_t up;          // as it was last counted, or set
    bool started, plugin; // `docker compose`, not docker-compose
};

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path ? path : ""), *rest = copy, file[4200];
    bool found = false;
    for (char *dir; copy && !found && (dir = strsep(&rest, ":"));) {
        snprintf(file, sizeof file, "%s/%s", *dir ? dir : ".", program);
        found = access(file, X_OK) == 0;
    }
    free(copy);
    return found;
}

static err_t open_compose(struct launcher **out, const struct launcher_opts *o,
                          struct err *e)
{
    struct launcher *l = calloc(1, sizeof *l);
    if (!l) return err_set(e, ERR_NOMEM, "out of memory");
    l->o = o;
    l->plugin = !o->show && !in_path("docker-compose") && in_path("docker");
    *out = l;
    return ERR_OK;
}

static uint32_t room(const struct launcher *l)
{
    (void)l;
    return UINT32_MAX;
}

static err_t compose(const struct launcher *l, struct strings *out, struct err *e)
{
    TRY(l->plugin ? engine_add(out, e, "docker", "compose", NULL)
                  : engine_add(out, e, "docker-compose", NULL));
    return engine_add_all(out, l->o->args, l->o->n_args, e);
}

// ---- how many ----

static err_t set_number(struct launcher *l, uint32_t n, struct err *e)
{
    struct strings command = { 0 };
    err_t rc = compose(l, &command, e);
    if (rc == ERR_OK)
        rc = engine_add(&command, e, "up", "-d", "--no-deps", "--no-recreate", "-t", "45",
                        "--scale", NULL);
    if (rc == ERR_OK) rc = engine_addf(&command, e, "%s=%u", l->o->service, n);
    if (rc == ERR_OK) rc = engine_add(&command, e, l->o->service, NULL);
    TRY(launcher_call(l->o, rc, &command, NULL, e));
    l->up = n;
    return ERR_OK;
}

static err_t start(struct launcher *l, uint32_t n, bool stays, struct err *e)
{
    (void)stays;
    l->started = true;
    return set_number(l, l->up + n, e);
}

static err_t stop(struct launcher *l, uint32_t n, struct err *e)
{
    return l->up ? set_number(l, n < l->up ? l->up - n : 0, e) : ERR_OK;
}

// ---- watching ----

static err_t take_id(struct launcher *l, const char *line, struct launcher_count *out,
                     struct err *e)
{
    (void)out;
    return strings_add(&l->ids, line, strlen(line), e);
}

static err_t list(struct launcher *l, struct err *e)
{
    struct strings command = { 0 };
    strings_free(&l->ids);
    err_t rc = compose(l, &command, e);
    if (rc == ERR_OK) rc = engine_add(&command, e, "ps", "-a", "-q", l->o->service, NULL);
    return launcher_lines(l, l->o, rc, &command, take_id, NULL, e);
}

static void explain(const char *id, int code, struct launcher_count *out)
{
    struct strings command = { 0 };
    struct engine_child c;
    char said[ENGINE_SAID] = "", errors[ENGINE_SAID] = "";
    int ignored;
    if (engine_add(&command, NULL, "docker", "logs", "--tail", "4", id, NULL) == ERR_OK &&
        engine_start(&command, ENGINE_OUT, &c, NULL) == ERR_OK) {
        (void)engine_wait(&c, 10 * NS_S, &ignored);
        engine_last_lines(c.out, said);
        engine_said(&c, errors);
        engine_forget(&c);
    }
    strings_free(&command);
    snprintf(out->why, sizeof out->why, "container %.12s ended with code %d%s%s", id, code,
             errors[0] || said[0] ? ": " : "", errors[0] ? errors : said);
}

// A line of docker inspect: id, state, exit code.
static err_t take_line(struct launcher *l, const char *line, struct launcher_count *out,
                       struct err *e)
{
    char id[72], state[24];
    int code;
    bool is_new;
    if (sscanf(line, "%71s %23s %d", id, state, &code) != 3) return ERR_OK;
    if (strcmp(state, "running") == 0 || strcmp(state, "restarting") == 0) {
        seen_drop(&l->dead, id);
        out->up++;
        return ERR_OK;
    }
    if (strcmp(state, "created") == 0) {
        out->pending++;
        return ERR_OK;
    }
    TRY(seen_add(&l->dead, id, &is_new, e));
    if (is_new && code == 0) {
        out->ended_well++;
    } else if (is_new) {
        out->failed++;
        explain(id, code, out);
    }
    return ERR_OK;
}

static err_t inspect(struct launcher *l, struct launcher_count *out, struct err *e)
{
    struct strings command = { 0 };
    err_t rc = engine_add(&command, e, "docker", "inspect", "--format",
                          "{{.Id}} {{.State.Status}} {{.State.ExitCode}}", NULL);
    if (rc == ERR_OK) rc = engine_add_all(&command, l->ids.v, l->ids.n, e);
    return launcher_lines(l, l->o, rc, &command, take_line, out, e);
}

static err_t count(struct launcher *l, struct launcher_count *out, struct err *e)
{
    *out = (struct launcher_count){ 0 };
    TRY(list(l, e));
    if (l->ids.n) TRY(inspect(l, out, e));
    l->up = out->up + out->pending;
    return ERR_OK;
}

static err_t close_compose(struct launcher **l_, bool keep, struct err *e)
{
    struct launcher *l = *l_;
    err_t rc = l->started && !keep ? set_number(l, 0, e) : ERR_OK;
    seen_free(&l->dead);
    strings_free(&l->ids);
    free(l);
    *l_ = NULL;
    return rc;
}

const struct launcher_ops launcher_compose = { "compose", open_compose, room,         start,
                                               count,     stop,         close_compose };

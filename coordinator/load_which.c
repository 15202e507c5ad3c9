#include "coordinator/load_which.h"

#include "coordinator/load_inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void loads_free(struct loads *l)
{
    free(l->unfinished.staging);
    free(l->complete.staging);
    *l = (struct loads){ 0 };
}

static err_t is_gone(const struct load_text *t, bool *gone, struct err *e)
{
    struct load_self self;
    TRY(load_self(&self, e));
    *gone = t->pid > 0 && t->pid <= INT_MAX && strcmp(t->host, self.host) == 0 &&
            kill((pid_t)t->pid, 0) != 0 && errno == ESRCH;
    return ERR_OK;
}

static err_t read_load(const struct load_text *t, const struct load_identity *id,
                       struct load_row *out, struct err *e)
{
    char spec[HASH_HEX];
    hash_hex(id->spec, spec);
    *out = (struct load_row){ .id = t->id, .epoch = t->epoch };
    out->complete = strcmp(t->state, "complete") == 0;
    out->same = strcmp(t->mode, load_mode_name(id->mode)) == 0 &&
                strcmp(t->sources, id->sources) == 0 && strcmp(t->spec, spec) == 0;
    out->upsert = strcmp(t->mode, load_mode_name(MODE_UPSERT)) == 0;
    snprintf(out->who, sizeof out->who,
             "started %.40s by process %" PRId64 " on host %.200s from %.200s", t->started,
             t->pid, t->host, t->sources);
    out->who[strcspn(out->who, "\n")] = 0; // of many sources the first
    TRY(is_gone(t, &out->gone, e));
    if (t->staging && !(out->staging = strdup(t->staging)))
        return err_set(e, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

// What takes the table's place is staged, and in the end forgets who put rows into the old
// one: only another that does so is in its way.
static bool stands_in_the_way(const struct load_identity *id, bool fresh_cuts,
                              const struct load_row *load)
{
    return id->mode != MODE_REPLACE || load->staging || (fresh_cuts && id->fresh);
}

err_t loads_add(struct loads *l, const struct load_identity *id, bool fresh_cuts,
                const struct load_text *row, struct err *e)
{
    struct load_row load, *to = NULL;
    TRY(read_load(row, id, &load, e));
    l->torn |= !load.complete;
    if (load.complete && load.same)
        to = &l->complete;
    else if (!load.complete && stands_in_the_way(id, fresh_cuts, &load) &&
             !l->unfinished.same)
        to = &l->unfinished;
    free(to ? to->staging : load.staging);
    if (to) *to = load;
    return ERR_OK;
}

struct choice {
    struct warehouse *w;
    const struct load_ledger *ledger;
    const char *place;
    const struct load_identity *id;
    struct loads loads;
};

static err_t find(struct choice *c, struct err *e)
{
    loads_free(&c->loads);
    return c->ledger->find(c->w, c->id, &c->loads, e);
}

static err_t refuse(struct choice *c, const struct load_row *load, int64_t rows,
                    struct err *e)
{
    return err_set(
        e, ERR_INVALID,
        "%s has another unfinished load: load %" PRIu64 ", %s, with "
        "%" PRId64 " rows so far. Its own command, unchanged, continues it; --fresh %s%s",
        c->place, load->id, load->who, rows,
        load->upsert ? "forgets it, and its rows stay" : "drops it and those rows",
        load->staging ? "" : "; --mode replace replaces all of the table");
}

// As long as there is one of the kind. Rows of an upsert stay: the next one replaces them.
static err_t drop_all(struct choice *c, const struct load_row *kind, struct err *e)
{
    while (kind->id) {
        TRY(c->ledger->drop(c->w, kind, !kind->upsert, e));
        TRY(find(c, e));
    }
    return ERR_OK;
}

static err_t start_afresh(struct choice *c, const struct buf *params, struct err *e)
{
    // An incremental load has a complete one for each run.
    bool adds = c->id->mode == MODE_APPEND || c->id->mode == MODE_INCREMENTAL;
    TRY(drop_all(c, &c->loads.unfinished, e));
    if (adds) TRY(drop_all(c, &c->loads.complete, e));
    return c->ledger->start(c->w, c->id, params, e);
}

static err_t clear_the_way(struct choice *c, struct err *e)
{
    const struct load_row *other = &c->loads.unfinished;
    while (other->id && !other->same) {
        int64_t ranges, rows;
        TRY(c->ledger->count(c->w, other->id, &ranges, &rows, e));
        if (ranges || !other->gone) return refuse(c, other, rows, e);
        TRY(c->ledger->drop(c->w, other, !other->upsert, e));
        TRY(find(c, e));
    }
    return ERR_OK;
}

static err_t decide(struct choice *c, const struct buf *params, struct load_state *state,
                    struct err *e)
{
    static const struct buf none;
    const struct load_row *unfinished = &c->loads.unfinished,
                          *complete = &c->loads.complete;
    if (c->id->fresh) return start_afresh(c, params, e);
    TRY(clear_the_way(c, e));
    if (unfinished->id) {
        state->resumed = true; // if the ledger has anything
        return c->ledger->go_on(c->w, unfinished, NULL, e);
    }
    if (complete->id && c->id->mode == MODE_APPEND) {
        state->complete_before = true;
        return c->ledger->go_on(c->w, complete, params ? params : &none, e);
    }
    return c->ledger->start(c->w, c->id, params, e);
}

err_t load_which(struct warehouse *w, const struct load_ledger *ledger, const char *place,
                 const struct load_identity *id, const struct buf *params,
                 struct load_state *state, struct err *e)
{
    struct choice c = { .w = w, .ledger = ledger, .place = place, .id = id };
    err_t rc = find(&c, e);
    if (rc == ERR_OK) rc = decide(&c, params, state, e);
    loads_free(&c.loads);
    return rc;
}

err_t load_target(char **target, enum job_mode mode, const char *table, uint64_t load_id,
                  const char *staging, struct err *e)
{
    free(*target);
    if (staging || mode != MODE_REPLACE)
        *target = strdup(staging ? staging : table);
    else if (asprintf(target, "%s__tranche_%" PRIu64, table, load_id) < 0)
        *target = NULL;
    return *target ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

err_t load_began_meanwhile(const char *place, uint64_t other, struct err *e)
{
    return err_set(
        e, ERR_INVALID,
        "%s: load %" PRIu64
        " began meanwhile, and is unfinished. When it is complete, run this again",
        place, other);
}

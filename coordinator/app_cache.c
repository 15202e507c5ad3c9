// Chunks whose results are in the cache: they go to the loader without a worker.

#include "coordinator/app_impl.h"
#include "coordinator/result_cache.h"

#include <stdio.h>
#include <stdlib.h>

// Results from the cache, and their chunks, wait in memory like any other.
bool app_wants_chunks(const struct app *a)
{
    return !a->fed && sched_wants(a->sched) > 0 &&
           a->cached_bytes <= a->in->job->memory_bytes / 4;
}

bool app_take_cached(struct app *a, struct chunk_data **c)
{
    struct result_cache *cache = a->in->cache;
    struct hash128 name;
    struct result r;
    uint8_t *bytes = NULL;
    if (!cache) return false;
    if (!result_cache_name(cache, *c, &name)) {
        app_stats_reused(a, (*c)->range, "its rows are read by the workers");
        return false;
    }
    if (!result_cache_take(cache, name, &r, &bytes)) {
        app_stats_reused(a, (*c)->range, result_cache_missed(cache));
        return false;
    }
    app_stats_reused(a, (*c)->range, "");
    struct load_item *i = calloc(1, sizeof *i);
    struct work *k = i ? work_add(&a->works, c, NULL) : NULL;
    if (!k) {
        free(i);
        free(bytes);
        app_fails_nomem(a);
        return true;
    }
    i->result = r;
    i->result.row.digest = k->chunk->data->digest;
    i->unpacked = bytes;
    i->from_cache = sizeof *k + sizeof *i + k->chunk->data->held + r.image_bytes;
    a->cached_bytes += i->from_cache;
    a->t->misfits += r.row.misfits;
    a->t->chunks_cached++;
    app_put_in_order(a, k, i);
    return true;
}

void app_to_be_kept(struct app *a, const struct work *k, struct load_item *i)
{
    i->keep_in =
        a->in->cache && result_cache_name(a->in->cache, k->chunk->data, &i->keep_as)
            ? a->in->cache
            : NULL;
}

void app_tell_cache(struct app *a)
{
    const char *why = a->in->cache ? result_cache_why_not(a->in->cache) : NULL;
    if (why) app_say(a, "cache", why);
}

void app_close_cache(struct app *a)
{
    char line[160];
    if (!a->in->cache) return;
    app_tell_cache(a);
    snprintf(line, sizeof line, "the cache had %llu of %llu results",
             (unsigned long long)a->t->chunks_cached, (unsigned long long)a->t->chunks);
    if (a->in->journal && journal_event(a->in->journal, "cache", line, &a->scratch))
        app_journal_failed(a);
}

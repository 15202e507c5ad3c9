// Looking things up in the table of options, and what was meant by what is not in it.

#include "common/opt.h"
#include "common/suggest.h"

#include <stdio.h>
#include <string.h>

const struct opt *opt_by_key(const char *key)
{
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->key && strcmp(o->key, key) == 0) return o;
    return NULL;
}

const struct opt *opt_by_flag(const char *flag)
{
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->flag && strcmp(o->flag, flag) == 0) return o;
    return NULL;
}

bool opt_is_section(const char *key)
{
    size_t n = strlen(key);
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->key && strncmp(o->key, key, n) == 0 && o->key[n] == '.') return true;
    return false;
}

const char *opt_section_title(enum opt_section s)
{
    static const char *const titles[OPT_N_SECTIONS] = {
        "Job",    "Source", "Batches", "Transform", "Load", "Parameters and lookup tables",
        "Charts", "Limits", "Workers", "This run",
    };
    return titles[s];
}

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

// The part of a key that stands below the prefix, without what is below that.
static bool part_below(const struct opt *o, const char *prefix, char part[64])
{
    size_t n = strlen(prefix);
    if (!o->key || strncmp(o->key, prefix, n) != 0) return false;
    snprintf(part, 64, "%.*s", (int)strcspn(o->key + n, "."), o->key + n);
    return true;
}

// A key of this level, unless one of another level is nearer.
void opt_suggest_key(const char *prefix, const char *word, char *out, size_t size)
{
    static _Thread_local char parts[OPT_MAX][64];
    struct suggest here = { .word = word }, anywhere = { .word = word };
    const char *full = "";
    const struct opt *flag = opt_by_flag(word);
    *out = 0;
    for (size_t i = 0; i < opt_n; i++) {
        const struct opt *o = &opt_table[i];
        if (part_below(o, prefix, parts[i])) suggest_offer(&here, parts[i]);
        const char *before = anywhere.best;
        // Keys of charts have short names that mean little outside of them.
        if (o->key && o->section != OPT_CHARTS) suggest_offer(&anywhere, last_part(o->key));
        bool nearer = anywhere.best != before;
        if (nearer || (o->key && o->section != OPT_CHARTS && anywhere.best &&
                       strlen(o->key) < strlen(full) &&
                       strcmp(last_part(o->key), anywhere.best) == 0))
            full = o->key;
    }
    if (here.best && (!anywhere.best || here.distance <= anywhere.distance))
        snprintf(out, size, "; did you mean '%s%s'?", prefix, here.best);
    else if (anywhere.best &&
             anywhere.distance <= strlen(word) / 3) // elsewhere: only a slip
        snprintf(out, size, "; did you mean '%s'?", full);
    else if (flag)
        snprintf(out, size, "; it is a flag: --%s", word);
}

void opt_suggest_flag(const char *word, char *out, size_t size)
{
    struct suggest s = { .word = word };
    *out = 0;
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->flag) suggest_offer(&s, o->flag);
    for (const struct opt *o = opt_table; o < opt_table + opt_n; o++)
        if (o->key && o->flag &&
            (strcmp(o->key, word) == 0 || strcmp(last_part(o->key), word) == 0))
            s.best = o->flag;
    if (s.best) snprintf(out, size, "; did you mean '--%s'?", s.best);
}

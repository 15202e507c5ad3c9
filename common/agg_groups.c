#include "common/agg_groups.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct slot {     // of the table: group 0 is empty, else the number + 1
    uint32_t tag; // upper half of the hash
    uint32_t group;
};

struct word_slot { // of the table of short keys
    uint64_t word;
    uint32_t group; // likewise
};

struct agg_groups {
    uint32_t n_keys, n;
    uint64_t seed;
    struct cell *key; // n_keys a group
    uint64_t *hash;   // of each group
    uint32_t cap;     // groups that there is room for
    struct slot *slot;
    uint32_t n_slots; // a power of two
    struct word_slot *word;
    uint32_t n_words;
    struct arena scratch; // of one batch
};

err_t agg_groups_new(struct agg_groups **out, uint32_t n_keys, struct err *e)
{
    struct agg_groups *g = *out = calloc(1, sizeof *g);
    if (!g) return err_set(e, ERR_NOMEM, "out of memory");
    g->n_keys = n_keys;
    if (getrandom(&g->seed, sizeof g->seed, 0) != sizeof g->seed) {
        err_t rc = err_sys(e, "no random numbers");
        agg_groups_free(out);
        return rc;
    }
    return ERR_OK;
}

void agg_groups_free(struct agg_groups **pg)
{
    struct agg_groups *g = *pg;
    if (!g) return;
    free(g->key);
    free(g->hash);
    free(g->slot);
    free(g->word);
    arena_free(&g->scratch);
    free(g);
    *pg = NULL;
}

const struct cell *agg_groups_key(const struct agg_groups *g, uint32_t group)
{
    return g->key + (size_t)group * g->n_keys;
}

struct cell agg_cell(const struct vec *v, uint32_t row)
{
    if (v->type == TYPE_ANY) {
        struct cell c = v->any[row];
        if (c.kind == CELL_REAL && c.r != c.r) c.kind = CELL_NULL;
        return c;
    }
    if (!vec_valid(v, row)) return (struct cell){ .kind = CELL_NULL };
    const struct misfit *m = v->n_misfits ? vec_misfit(v, row) : NULL;
    if (m) return (struct cell){ CELL_TEXT, m->len, { .p = m->p } };
    if (type_is_text(v->type)) {
        uint32_t at = v->off[row];
        return (struct cell){ CELL_TEXT, v->off[row + 1] - at, { .p = v->bytes + at } };
    }
    if (v->type == TYPE_REAL) return (struct cell){ .kind = CELL_REAL, .r = v->f64[row] };
    return (struct cell){ .kind = CELL_INTEGER, .i = v->i64[row] };
}

// ---- hashing (the product of two 64-bit words, folded: as wyhash and many others do)

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash_text(const uint8_t *p, uint32_t n, uint64_t seed)
{
    uint64_t h = seed ^ n, word;
    for (; n > 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = fold(h ^ word, 0x9e3779b97f4a7c15u);
    }
    word = 0;
    if (n) memcpy(&word, p, n);
    return fold(h ^ word, 0xd6e8feb86659fd93u ^ seed);
}

static bool whole(double r, int64_t *out)
{
    if (!(r >= -0x1p63 && r < 0x1p63)) return false;
    *out = (int64_t)r;
    return (double)*out == r;
}

static uint64_t hash_cell(const struct cell *c, uint64_t seed)
{
    int64_t i;
    uint64_t bits;
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: return fold(seed ^ 1, 0x9e3779b97f4a7c15u);
    case CELL_INTEGER: return fold(seed ^ (uint64_t)c->i, 0xd6e8feb86659fd93u);
    case CELL_REAL:
        if (whole(c->r, &i)) return fold(seed ^ (uint64_t)i, 0xd6e8feb86659fd93u);
        memcpy(&bits, &c->r, sizeof bits);
        return fold(seed ^ bits, 0xa0761d6478bd642fu);
    case CELL_TEXT: return hash_text(c->p, c->len, seed);
    case CELL_BLOB: break;
    }
    return hash_text(c->p, c->len, ~seed);
}

bool agg_cell_equal(const struct cell *a, const struct cell *b)
{
    int64_t i;
    if (a->kind == b->kind) switch ((enum cell_kind)a->kind) {
        case CELL_NULL: return true;
        case CELL_INTEGER: return a->i == b->i;
        case CELL_REAL: return a->r == b->r;
        case CELL_TEXT:
        case CELL_BLOB:
            return a->len == b->len && (!a->len || memcmp(a->p, b->p, a->len) == 0);
        }
    if (a->kind == CELL_INTEGER && b->kind == CELL_REAL)
        return whole(b->r, &i) && i == a->i;
    if (a->kind == CELL_REAL && b->kind == CELL_INTEGER)
        return whole(a->r, &i) && i == b->i;
    return false;
}

// ---- groups

static err_t grow_groups(struct agg_groups *g, struct err *e)
{
    uint32_t cap = g->cap ? g->cap * 2 : 256;
    size_t keys = (size_t)cap * (g->n_keys ? g->n_keys : 1);
    struct cell *key = realloc(g->key, keys * sizeof *key);
    if (key) g->key = key;
    uint64_t *hash = key ? realloc(g->hash, cap * sizeof *hash) : NULL;
    if (!hash) return err_set(e, ERR_NOMEM, "out of memory: %u groups", cap);
    g->hash = hash;
    g->cap = cap;
    return ERR_OK;
}

static inline err_t add_group(struct agg_groups *g, uint64_t hash, struct cell **key,
                              struct err *e)
{
    if (g->n == g->cap) TRY(grow_groups(g, e));
    g->hash[g->n] = hash;
    *key = g->key + (size_t)g->n * g->n_keys;
    g->n++;
    return ERR_OK;
}

// ---- the table of short keys: one column whose values fit a word

static err_t size_words(struct agg_groups *g, uint32_t n, struct err *e)
{
    struct word_slot *old = g->word;
    uint32_t n_old = g->n_words;
    g->word = calloc(n, sizeof *g->word);
    if (!g->word) {
        g->word = old;
        return err_set(e, ERR_NOMEM, "out of memory: %u groups", g->n);
    }
    g->n_words = n;
    for (uint32_t i = 0; i < n_old; i++) {
        if (!old[i].group) continue;
        uint32_t at = (uint32_t)fold(old[i].word ^ g->seed, 0x9e3779b97f4a7c15u) & (n - 1);
        while (g->word[at].group)
            at = (at + 1) & (n - 1);
        g->word[at] = old[i];
    }
    free(old);
    return ERR_OK;
}

static err_t add_word(struct agg_groups *g, uint64_t word, uint32_t at,
                      const struct cell *key, uint32_t *group, struct err *e)
{
    struct cell *to;
    TRY(add_group(g, 0, &to, e));
    *to = *key;
    g->word[at] = (struct word_slot){ word, g->n };
    *group = g->n - 1;
    return (uint64_t)g->n * 3 > (uint64_t)g->n_words * 2 ? size_words(g, g->n_words * 2, e)
                                                         : ERR_OK;
}

static err_t assign_words(struct agg_groups *g, const struct vec *v, const uint64_t *word,
                          uint32_t rows, uint32_t *gid, struct err *e)
{
    uint32_t none = 0; // group of NULL + 1
    struct cell *key;
    if (g->n_words < 64) TRY(size_words(g, 1024, e));
    memset(g->word, 0, g->n_words * sizeof *g->word);
    for (uint32_t r = 0; r < rows; r++) {
        if (!vec_valid(v, r)) {
            if (!none) {
                TRY(add_group(g, 0, &key, e));
                *key = (struct cell){ .kind = CELL_NULL };
                none = g->n;
            }
            gid[r] = none - 1;
            continue;
        }
        uint32_t mask = g->n_words - 1;
        uint32_t at = (uint32_t)fold(word[r] ^ g->seed, 0x9e3779b97f4a7c15u) & mask;
        while (g->word[at].group && g->word[at].word != word[r])
            at = (at + 1) & mask;
        if (g->word[at].group) {
            gid[r] = g->word[at].group - 1;
        } else {
            struct cell c = agg_cell(v, r);
            TRY(add_word(g, word[r], at, &c, &gid[r], e));
        }
    }
    return ERR_OK;
}

// The bytes of each text and its length above them; NULL: some text has more than 7 bytes.
static uint64_t *words_of_text(struct agg_groups *g, const struct vec *v, uint32_t rows)
{
    uint32_t longest = 0;
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t n = v->off[r + 1] - v->off[r];
        longest = n > longest ? n : longest;
    }
    if (longest > 7) return NULL;
    uint64_t *word = arena_alloc(&g->scratch, rows * sizeof *word);
    for (uint32_t r = 0; word && r < rows; r++) {
        uint32_t n = v->off[r + 1] - v->off[r];
        uint64_t bytes;
        memcpy(&bytes, v->bytes + v->off[r], 8); // 16 bytes behind the last are readable
        word[r] = (bytes & (((uint64_t)1 << 8 * n) - 1)) | (uint64_t)n << 56;
    }
    return word;
}

static const uint64_t *words_of(struct agg_groups *g, const struct vec *v, uint32_t rows)
{
    if (v->n_misfits || v->type == TYPE_ANY || v->type == TYPE_REAL || !rows) return NULL;
    if (type_is_text(v->type)) return words_of_text(g, v, rows);
    return (const uint64_t *)v->i64;
}

// ---- the table of any keys

static err_t size_slots(struct agg_groups *g, uint32_t n, struct err *e)
{
    struct slot *slot = calloc(n, sizeof *slot);
    if (!slot) return err_set(e, ERR_NOMEM, "out of memory: %u groups", g->n);
    free(g->slot);
    g->slot = slot;
    g->n_slots = n;
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t at = (uint32_t)g->hash[i] & (n - 1);
        while (slot[at].group)
            at = (at + 1) & (n - 1);
        slot[at] = (struct slot){ (uint32_t)(g->hash[i] >> 32), i + 1 };
    }
    return ERR_OK;
}

static bool is_key(struct agg_groups *g, uint32_t group, struct cell *const *column,
                   uint32_t row)
{
    struct cell *key = g->key + (size_t)group * g->n_keys;
    for (uint32_t k = 0; k < g->n_keys; k++)
        if (!agg_cell_equal(&key[k], &column[k][row])) return false;
    for (uint32_t k = 0; k < g->n_keys; k++) // 1.0 gives way to 1
        if (column[k][row].kind == CELL_INTEGER) key[k] = column[k][row];
    return true;
}

static err_t assign_any(struct agg_groups *g, struct cell *const *column,
                        const uint64_t *hash, uint32_t rows, uint32_t *gid, struct err *e)
{
    if (g->n_slots < 64) TRY(size_slots(g, 1024, e));
    memset(g->slot, 0, g->n_slots * sizeof *g->slot);
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t mask = g->n_slots - 1, tag = (uint32_t)(hash[r] >> 32);
        uint32_t at = (uint32_t)hash[r] & mask;
        for (; g->slot[at].group; at = (at + 1) & mask)
            if (g->slot[at].tag == tag && is_key(g, g->slot[at].group - 1, column, r))
                break;
        if (g->slot[at].group) {
            gid[r] = g->slot[at].group - 1;
            continue;
        }
        struct cell *key;
        TRY(add_group(g, hash[r], &key, e));
        for (uint32_t k = 0; k < g->n_keys; k++)
            key[k] = column[k][r];
        g->slot[at] = (struct slot){ tag, g->n };
        gid[r] = g->n - 1;
        if ((uint64_t)g->n * 3 > (uint64_t)g->n_slots * 2)
            TRY(size_slots(g, g->n_slots * 2, e));
    }
    return ERR_OK;
}

static err_t nomem(uint32_t rows, struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: grouping %u rows", rows);
}

static err_t assign_cells(struct agg_groups *g, const struct vec *const *keys,
                          uint32_t rows, uint32_t *gid, struct err *e)
{
    struct cell **column = arena_alloc(&g->scratch, g->n_keys * sizeof *column);
    uint64_t *hash = arena_alloc(&g->scratch, rows * sizeof *hash);
    if (!column || !hash) return nomem(rows, e);
    for (uint32_t r = 0; r < rows; r++)
        hash[r] = g->seed;
    for (uint32_t k = 0; k < g->n_keys; k++) {
        column[k] = arena_alloc(&g->scratch, rows * sizeof **column);
        if (!column[k]) return nomem(rows, e);
        for (uint32_t r = 0; r < rows; r++) {
            column[k][r] = agg_cell(keys[k], r);
            if (column[k][r].kind == CELL_REAL && column[k][r].r == 0) column[k][r].r = 0;
            hash[r] = hash_cell(&column[k][r], hash[r]);
        }
    }
    return assign_any(g, column, hash, rows, gid, e);
}

err_t agg_groups_assign(struct agg_groups *g, const struct vec *const *keys, uint32_t rows,
                        uint32_t *gid, uint32_t *n, struct err *e)
{
    err_t rc = ERR_OK;
    struct cell *key;
    g->n = 0;
    arena_reset(&g->scratch);
    const uint64_t *word = g->n_keys == 1 ? words_of(g, keys[0], rows) : NULL;
    if (g->n_keys == 0 && rows) {
        memset(gid, 0, rows * sizeof *gid);
        rc = add_group(g, 0, &key, e);
    } else if (word) {
        rc = assign_words(g, keys[0], word, rows, gid, e);
    } else if (rows) {
        rc = assign_cells(g, keys, rows, gid, e);
    }
    *n = g->n;
    return rc;
}

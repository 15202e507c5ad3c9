#include "common/csv_field.h"

#include <stdlib.h>

static bool has_digit(const char *s)
{
    return strpbrk(s, "0123456789") != NULL;
}

err_t csv_nulls_init(struct csv_nulls *nulls, const struct csv_dialect *d, struct err *e)
{
    *nulls = (struct csv_nulls){ 0 };
    if (!d->nulls) nulls->lengths = 1;
    if (!d->nulls || d->n_nulls == 0) return ERR_OK;
    nulls->v = calloc(d->n_nulls, sizeof *nulls->v);
    if (!nulls->v) return err_set(e, ERR_NOMEM, "out of memory: %zu nulls", d->n_nulls);
    for (size_t i = 0; i < d->n_nulls; i++) {
        size_t n = strlen(d->nulls[i]);
        nulls->lengths |= 1ull << (n < 63 ? n : 63);
        nulls->digits |= has_digit(d->nulls[i]);
        if (n == 0) continue;
        uint8_t *copy = malloc(n);
        if (!copy) {
            csv_nulls_close(nulls);
            return err_set(e, ERR_NOMEM, "out of memory: %zu nulls", d->n_nulls);
        }
        memcpy(copy, d->nulls[i], n);
        nulls->v[nulls->n++] = (struct slice){ copy, n };
    }
    return ERR_OK;
}

void csv_nulls_close(struct csv_nulls *nulls)
{
    for (size_t i = 0; i < nulls->n; i++)
        free((void *)(uintptr_t)nulls->v[i].p);
    free(nulls->v);
    *nulls = (struct csv_nulls){ 0 };
}

bool csv_nulls_match(const struct csv_nulls *nulls, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < nulls->n; i++)
        if (nulls->v[i].n == n && memcmp(nulls->v[i].p, p, n) == 0) return true;
    return false;
}

size_t csv_unquote(uint8_t quote, const uint8_t *p, size_t n, uint8_t *out)
{
    const uint8_t *end = p + n;
    size_t len = 0;
    p++;
    while (p < end) {
        const uint8_t *q = memchr(p, quote, (size_t)(end - p));
        size_t piece = (size_t)((q ? q : end) - p);
        memcpy(out + len, p, piece);
        len += piece;
        if (!q) break;
        p = q + 1;
        if (p < end && *p == quote) { // two stand for one
            out[len++] = quote;
            p++;
        } else { // closed: what follows is data
            memcpy(out + len, p, (size_t)(end - p));
            len += (size_t)(end - p);
            break;
        }
    }
    return len;
}

bool csv_peek_quoted(uint8_t quote, const uint8_t *p, size_t n, struct slice *out)
{
    if (n < 2 || p[n - 1] != quote) return false;
    *out = (struct slice){ p + 1, n - 2 };
    return memchr(out->p, quote, out->n) == NULL;
}

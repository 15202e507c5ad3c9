#include "common/suggest.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 64 };

static char plain(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c == '_' ? '-' : c;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Optimal string alignment (restricted Damerau-Levenshtein), three rows of the table at a
// time.
size_t suggest_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX) return SIZE_MAX;
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3];
        const size_t *second = rows[(i + 1) % 3]; // two above
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            char x = plain(a[i - 1]), y = plain(b[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == plain(b[j - 2]) && y == plain(a[i - 2]))
                row[j] = least(row[j], second[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    size_t length = strlen(s->word);
    size_t allowed = length <= 3 ? 1 : length <= 7 ? 2 : 3;
    size_t other = strlen(candidate); // a distance is no less than that of the lengths
    if (other > length + allowed || length > other + allowed) return;
    size_t d = suggest_distance(s->word, candidate);
    if (d > allowed || d >= other) return;
    if (s->best && d >= s->distance) return;
    s->best = candidate;
    s->distance = d;
}

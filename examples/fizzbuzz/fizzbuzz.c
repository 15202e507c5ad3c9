/* Says for each number what children say: fizz, buzz, both, or the number. */

#include "worker/plugin.h"

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    (void)state, (void)reads;
    if (in->n_children != 1 || strcmp(in->children[0]->format, "l") != 0)
        return tranche_fail(e, "takes one column of integers");
    tranche_schema_begin(out);
    if (tranche_schema_add(out, "i", "l") || tranche_schema_add(out, "says", "u"))
        return tranche_fail(e, "out of memory");
    return 0;
}

static size_t say(int64_t i, char *to)
{
    if (i % 15 == 0) return memcpy(to, "fizzbuzz", 8), 8;
    if (i % 5 == 0) return memcpy(to, "buzz", 4), 4;
    if (i % 3 == 0) return memcpy(to, "fizz", 4), 4;
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (i < 0) *--p = '-';
    size_t n = (size_t)(digits + sizeof digits - p);
    memcpy(to, p, n);
    return n;
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    enum { LONGEST = 20 };
    size_t rows = (size_t)in->length;
    const int64_t *i = tranche_int64s(in, 0);
    (void)state;
    if (tranche_array_begin(out, in->length) || tranche_array_move(out, in, 0) ||
        rows > INT32_MAX / LONGEST)
        return tranche_fail(e, "out of memory");
    int32_t *offsets = (int32_t *)malloc((rows + 1) * sizeof *offsets);
    char *text = (char *)malloc(rows * LONGEST + 1);
    if (!offsets || !text) {
        free(offsets);
        free(text);
        return tranche_fail(e, "out of memory");
    }
    size_t at = 0;
    for (size_t row = 0; row < rows; row++) {
        offsets[row] = (int32_t)at;
        at += say(i[row], text + at);
    }
    offsets[rows] = (int32_t)at;
    return tranche_array_add_text(out, offsets, text);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = { TRANCHE_PLUGIN_ABI,
                                                 sizeof(struct tranche_plugin),
                                                 "fizzbuzz",
                                                 NULL,
                                                 bind,
                                                 apply,
                                                 NULL };
    (void)abi;
    return &table;
}

// A plugin's schema and array, described by the input: whatever it claims, what is read is
// a batch whose every value can be looked at, or it is refused.
//
// The input is a tape of choices. Lengths, offsets and counts come from it unchecked;
// buffers are exactly as large as Arrow says they must be for what the array claims (up to
// a limit), because the interface has no way to tell that they are smaller.

#include "worker/arrow.h"

#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { COLUMNS = 3, ROWS_MAX = 70, BUFFER = 16 * (ROWS_MAX + 10) };

static const char *const formats[] = { "n",    "b",       "c",    "C",    "s",   "S",
                                       "i",    "I",       "l",    "L",    "f",   "g",
                                       "u",    "U",       "z",    "Z",    "tdD", "tdm",
                                       "tss:", "tsm:UTC", "tsu:", "tsn:", "+s",  "+l",
                                       "w:4",  "d:5,2",   "",     "e" };

// Mostly what is meant, sometimes anything.
static int64_t number(struct tape *t, int64_t meant)
{
    uint64_t how = draw(t, 1);
    if (how < 200) return meant;
    if (how < 230) return (int64_t)draw(t, 1) - 128;
    return (int64_t)draw(t, 8);
}

struct column {
    struct ArrowSchema schema, words_schema;
    struct ArrowArray array, words;
    const void *buffers[3], *words_buffers[3];
    void *owned[6];
};

static void release_schema(struct ArrowSchema *s)
{
    s->release = NULL;
}

static void release_array(struct ArrowArray *a)
{
    a->release = NULL;
}

static void fill(struct tape *t, uint8_t *to, size_t n)
{
    uint64_t how = draw(t, 1), step = draw(t, 1);
    for (size_t i = 0; i < n; i++)
        to[i] = how < 128 ? (uint8_t)draw(t, 1) : (uint8_t)('a' + i * step % 26);
}

// Offsets that grow, but where the tape says otherwise. Gives the last: there are so many
// bytes.
static size_t offsets(struct tape *t, uint8_t *to, bool large, int64_t rows)
{
    int64_t last = 0;
    int64_t at = 0;
    for (int64_t i = 0; i <= rows; i++) {
        int64_t v = number(t, at);
        if (v >= 0 && v < BUFFER && v >= at) at = v;
        if (v >= BUFFER) v = -v; // such a buffer does not exist here
        int32_t narrow = (int32_t)v < BUFFER ? (int32_t)v : -1;
        if (large)
            memcpy(to + 8 * i, &v, 8);
        else
            memcpy(to + 4 * i, &narrow, 4);
        last = large ? v : narrow;
        at += (int64_t)draw(t, 1) % 8;
        if (at >= BUFFER) at = BUFFER - 1;
    }
    return last > 0 ? (size_t)last : 0;
}

static size_t width(char format)
{
    if (format && strchr("cC", format)) return 1;
    if (format && strchr("sS", format)) return 2;
    return format && strchr("iIfu", format) ? 4 : 8;
}

static void make_array(struct tape *t, const char *format, struct ArrowArray *a,
                       const void **buffers, void **owned, int64_t rows)
{
    static uint8_t room[BUFFER];
    bool text = *format && strchr("uUzZ", *format),
         large = *format == 'U' || *format == 'Z';
    a->offset = draw(t, 1) % 4 ? 0 : (int64_t)(draw(t, 1) % 8);
    a->length = number(t, rows);
    // What is claimed beyond the room does not exist: only claims that are refused anyway.
    if (a->length > rows && a->length < UINT32_MAX) a->length = -a->length;
    a->null_count = number(t, -1);
    a->n_buffers = number(t, *format == 'n' ? 0 : text ? 3 : 2);
    a->n_children = draw(t, 1) < 250 ? 0 : 1;
    a->buffers = draw(t, 1) < 250 ? buffers : NULL;
    a->release = draw(t, 1) < 250 ? release_array : NULL;
    int64_t n = a->length > 0 && a->length <= rows ? a->length : 0;
    size_t slots = (size_t)(n + a->offset), bytes[3] = { (slots + 7) / 8 };
    if (text)
        bytes[1] = (slots + 1) * (large ? 8 : 4);
    else if (*format == 'b')
        bytes[1] = bytes[0];
    else
        bytes[1] =
            slots *
            (*format == 't' && format[1] == 'd' && format[2] == 'D' ? 4 : width(*format));
    for (int i = 0; i < 3; i++) {
        if (i == 1 && text)
            bytes[2] = offsets(t, room, large, (int64_t)slots);
        else
            fill(t, room, bytes[i]);
        owned[i] = exact_copy(room, bytes[i]);
        buffers[i] = draw(t, 1) < 220 ? owned[i] : NULL;
    }
}

static void make_column(struct tape *t, struct column *c, int64_t rows)
{
    const char *format = formats[draw(t, 1) % (sizeof formats / sizeof *formats)];
    static const char *const names[] = { "a", "b", "A", "", "\xff", "c" };
    c->schema = (struct ArrowSchema){ .format = draw(t, 1) < 250 ? format : NULL,
                                      .name = names[draw(t, 1) % 6],
                                      .release = release_schema };
    make_array(t, format, &c->array, c->buffers, c->owned, rows);
    if (draw(t, 1) < 200) return;
    const char *words = draw(t, 1) % 2 ? "u" : "U";
    c->words_schema = (struct ArrowSchema){ .format = words, .release = release_schema };
    if (draw(t, 1) < 250) c->schema.dictionary = &c->words_schema;
    make_array(t, words, &c->words, c->words_buffers, c->owned + 3,
               (int64_t)draw(t, 1) % ROWS_MAX);
    if (draw(t, 1) < 250) c->array.dictionary = &c->words;
}

static uint64_t sum;

static void look_at_bytes(const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sum += p[i];
}

static void look_at(const struct vec *v, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++) {
        if (v->type == TYPE_ANY) {
            const struct cell *c = &v->any[r];
            if (c->kind == CELL_TEXT && utf8_bad(c->p, c->len) != c->len) abort();
            if (c->kind >= CELL_TEXT) look_at_bytes(c->p, c->len);
        } else if (!vec_valid(v, r)) {
            continue;
        } else if (type_is_text(v->type)) {
            uint32_t n = v->off[r + 1] - v->off[r];
            if (v->off[0] != 0 || v->off[r + 1] < v->off[r]) abort();
            if (utf8_bad(v->bytes + v->off[r], n) != n) abort();
            look_at_bytes(v->bytes + v->off[r], n);
        } else if (v->type == TYPE_REAL) {
            if (!(v->f64[r] - v->f64[r] == 0)) abort(); // neither infinite nor NaN
        } else {
            sum += (uint64_t)v->i64[r];
        }
    }
}

static void read_it(const struct ArrowSchema *s, const struct ArrowArray *a)
{
    struct schema schema;
    struct arrow_layout layout;
    struct batch out = { 0 };
    struct err e;
    err_t rc = arrow_schema_read(s, &schema, &layout, &e);
    if (rc != ERR_OK && rc != ERR_TRANSFORM) abort();
    if (rc != ERR_OK) return;
    if (batch_start(&out, &schema, &e) != ERR_OK) abort();
    rc = arrow_read(&layout, a, &out, &e);
    if (rc != ERR_OK && rc != ERR_TRANSFORM) abort();
    for (uint32_t i = 0; rc == ERR_OK && i < out.n_cols; i++)
        look_at(&out.col[i], out.rows);
    batch_free(&out);
    schema_free(&schema);
    arrow_layout_free(&layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tape t = { data, size };
    struct column c[COLUMNS] = { 0 };
    struct ArrowSchema *schemas[COLUMNS];
    struct ArrowArray *arrays[COLUMNS];
    const void *none[1] = { NULL };
    int64_t n = 1 + (int64_t)(draw(&t, 1) % COLUMNS),
            rows = (int64_t)draw(&t, 2) % ROWS_MAX;
    for (int64_t i = 0; i < n; i++) {
        make_column(&t, &c[i], rows);
        schemas[i] = &c[i].schema;
        arrays[i] = &c[i].array;
    }
    struct ArrowSchema s = { .format = draw(&t, 1) < 250 ? "+s" : "l",
                             .n_children = n,
                             .children = schemas,
                             .release = release_schema };
    struct ArrowArray a = { .length = rows,
                            .offset = draw(&t, 1) < 220 ? 0 : (int64_t)draw(&t, 1) % 9,
                            .null_count = number(&t, 0),
                            .n_buffers = number(&t, 1),
                            .n_children = n,
                            .buffers = none,
                            .children = arrays,
                            .release = release_array };
    if (a.offset) a.length = a.length > a.offset ? a.length - a.offset : 0;
    read_it(&s, &a);
    for (size_t i = 0; i < COLUMNS; i++)
        for (size_t k = 0; k < 6; k++)
            free(c[i].owned[k]);
    return 0;
}

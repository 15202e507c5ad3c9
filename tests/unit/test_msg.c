#include "proto/msg.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const enum msg_type all_types[] = {
#define MESSAGE(NAME, num, dir, text, FIELDS) MSG_##NAME,
#include "proto/messages.def"
#undef MESSAGE
};

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

// Every width of integer is as likely as any other.
static uint64_t random_u64(void)
{
    return next_random() >> (next_random() % 64);
}

static struct hash128 random_hash(void)
{
    return (struct hash128){ next_random(), next_random() };
}

static struct msg_str random_text(uint32_t max)
{
    static char pool[8][4096]; // no message has more texts than this
    static unsigned turn;
    static const char *const piece[] = { "a", "\xc3\xa4", "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80" };
    char *p = pool[turn++ % N_OF(pool)];
    uint32_t want = (uint32_t)(random_u64() % (max + 1)), n = 0;
    for (;;) {
        const char *s = piece[next_random() % N_OF(piece)];
        if (n + strlen(s) > want) return msg_str(p, n);
        memcpy(p + n, s, strlen(s));
        n += (uint32_t)strlen(s);
    }
}

#define RANDOM_U64(f)       x->f = random_u64();
#define RANDOM_STR(f, max)  x->f = random_text(max);
#define RANDOM_PATH(f, max) x->f = random_text(max);
#define RANDOM_H128(f)      x->f = random_hash();
#define MESSAGE(NAME, num, dir, text, FIELDS)                    \
    static void random_##NAME(struct msg_##NAME *x)              \
    {                                                            \
        FIELDS(RANDOM_U64, RANDOM_STR, RANDOM_PATH, RANDOM_H128) \
    }
#include "proto/messages.def"
#undef MESSAGE

static struct msg random_msg(enum msg_type t)
{
    struct msg m = { .type = t, .epoch = random_u64(), .sid = random_u64() };
    m.payload_bytes = next_random() % 2 ? random_u64() : 0;
    if (m.payload_bytes) m.payload_hash = random_hash();
    switch (t) {
#define MESSAGE(NAME, num, dir, text, FIELDS) \
    case MSG_##NAME:                          \
        random_##NAME(&m.NAME);               \
        break;
#include "proto/messages.def"
#undef MESSAGE
    }
    return m;
}

static void same_text(const char *name, struct msg_str a, struct msg_str b)
{
    if (a.n != b.n || memcmp(a.p, b.p, a.n) != 0)
        fail_msg("%s: wanted '%.*s', got '%.*s'", name, (int)a.n, a.p, (int)b.n, b.p);
}

#define SAME_U64(f)       EQ_I64(a->f, b->f);
#define SAME_STR(f, max)  same_text(#f, a->f, b->f);
#define SAME_PATH(f, max) same_text(#f, a->f, b->f);
#define SAME_H128(f)      assert_true(hash_equal(a->f, b->f));
#define MESSAGE(NAME, num, dir, text, FIELDS)                                       \
    static void same_##NAME(const struct msg_##NAME *a, const struct msg_##NAME *b) \
    {                                                                               \
        FIELDS(SAME_U64, SAME_STR, SAME_PATH, SAME_H128)                            \
    }
#include "proto/messages.def"
#undef MESSAGE

static void same(const struct msg *a, const struct msg *b)
{
    EQ_I64(a->type, b->type);
    EQ_I64(a->epoch, b->epoch);
    EQ_I64(a->sid, b->sid);
    EQ_I64(a->payload_bytes, b->payload_bytes);
    assert_true(hash_equal(a->payload_hash, b->payload_hash));
    switch (a->type) {
#define MESSAGE(NAME, num, dir, text, FIELDS) \
    case MSG_##NAME:                          \
        same_##NAME(&a->NAME, &b->NAME);      \
        break;
#include "proto/messages.def"
#undef MESSAGE
    }
}

static void random_values_come_back(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    for (int i = 0; i < 20000; i++) {
        struct msg m = random_msg(all_types[(size_t)i % N_OF(all_types)]), got;
        PASS(&e, msg_encode(&m, &b, &e));
        PASS(&e, msg_decode(b.p, b.n, &got, &e));
        same(&m, &got);
    }
    buf_free(&b);
}

int main(void)
{
    seed = (uint64_t)time(NULL) | 1;
    const char *given = getenv("SEED");
    if (given) seed = strtoull(given, NULL, 10);
    printf("SEED=%llu\n", (unsigned long long)seed);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_come_back),
    };
    return test_main("msg", tests, N_OF(tests), NULL, 0);
}

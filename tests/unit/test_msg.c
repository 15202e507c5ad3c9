#include "proto/msg.h"
#include "tests/forge.h"
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

// Golden bytes. Field number i of a message has a value that depends on i only, so every
// width of integer occurs.

#define FIXED_U64(f) x->f = (uint64_t)0x0123456789abcdef >> (60 - i++ % 16 * 4);
#define FIXED_STR(f, max) \
    x->f = msg_str("Gr\xc3\xbc\xc3\x9f Gott: " #f, sizeof("Grxx Gott: " #f) + 1), i++;
#define FIXED_PATH(f, max) x->f = msg_str("/a\xff/" #f, sizeof("/ax/" #f) - 1), i++;
#define FIXED_H128(f) \
    x->f = (struct hash128){ 0x0706050403020100 + i, 0x0f0e0d0c0b0a0908 }, i++;
#define MESSAGE(NAME, num, dir, text, FIELDS)                \
    static void fixed_##NAME(struct msg_##NAME *x)           \
    {                                                        \
        uint64_t i = 0;                                      \
        FIELDS(FIXED_U64, FIXED_STR, FIXED_PATH, FIXED_H128) \
    }
#include "proto/messages.def"
#undef MESSAGE

static struct msg fixed_msg(enum msg_type t)
{
    struct msg m = { .type = t, .epoch = 0x1112131415161718, .sid = 0x2122232425262728 };
    if (t % 2 == 0) {
        m.payload_bytes = 0x3132333435363738;
        m.payload_hash = (struct hash128){ 0x4142434445464748, 0x494a4b4c4d4e4f50 };
    }
    switch (t) {
#define MESSAGE(NAME, num, dir, text, FIELDS) \
    case MSG_##NAME:                          \
        fixed_##NAME(&m.NAME);                \
        break;
#include "proto/messages.def"
#undef MESSAGE
    }
    return m;
}

static void print_golden(void)
{
    struct err e;
    struct buf b = { 0 };
    for (size_t i = 0; i < N_OF(all_types); i++) {
        struct msg m = fixed_msg(all_types[i]);
        if (msg_encode(&m, &b, &e) != ERR_OK) exit(1);
        printf("%s ", msg_type_name(m.type));
        for (size_t k = 0; k < b.n; k++)
            printf("%02x", b.p[k]);
        printf("\n");
    }
    buf_free(&b);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1;)
        out[n++] = (uint8_t)byte;
    return n;
}

static void bytes_on_the_wire_are_pinned(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    FILE *f = fopen(TEST_DATA "/golden_messages.txt", "r");
    assert_non_null(f);
    char name[32], hex[8192];
    uint8_t want[4096];
    for (size_t i = 0; i < N_OF(all_types); i++) {
        assert_int_equal(2, fscanf(f, "%31s %8191s", name, hex));
        struct msg m = fixed_msg(all_types[i]), got;
        assert_string_equal(msg_type_name(m.type), name);
        size_t n = from_hex(hex, want);
        PASS(&e, msg_encode(&m, &b, &e));
        EQ_I64(n, b.n);
        assert_memory_equal(want, b.p, n);
        PASS(&e, msg_decode(want, n, &got, &e));
        same(&m, &got);
    }
    assert_int_equal(EOF, fscanf(f, "%31s", name));
    fclose(f);
    buf_free(&b);
}

// Damage.

// In memory of exactly this size, so that a read past the end is seen.
static err_t decode_copy(const uint8_t *p, size_t n, struct err *e)
{
    struct msg got;
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    err_t rc = msg_decode(copy, n, &got, e);
    if (rc == ERR_OK) {
        char line[512];
        msg_describe(&got, line, sizeof line);
        struct buf b = { 0 };
        PASS(e, msg_encode(&got, &b, e));
        buf_free(&b);
    }
    free(copy);
    return rc;
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    for (size_t i = 0; i < N_OF(all_types); i++) {
        struct msg m = fixed_msg(all_types[i]);
        PASS(&e, msg_encode(&m, &b, &e));
        for (size_t n = 0; n < b.n; n++)
            EXPECT(ERR_PROTO, &e, decode_copy(b.p, n, &e));
        for (size_t n = b.n - 1; n >= MSG_FIXED_BYTES; n--) {
            forge_seal(b.p, n);
            EXPECT(ERR_PROTO, &e, decode_copy(b.p, n, &e));
        }
    }
    buf_free(&b);
}

static void every_flipped_bit_is_an_error(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    for (size_t i = 0; i < N_OF(all_types); i++) {
        struct msg m = fixed_msg(all_types[i]);
        PASS(&e, msg_encode(&m, &b, &e));
        for (size_t bit = 0; bit < 8 * b.n; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
            b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    buf_free(&b);
}

static void no_byte_of_a_forged_array_does_harm(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    for (size_t i = 0; i < N_OF(all_types); i++) {
        struct msg m = fixed_msg(all_types[i]);
        PASS(&e, msg_encode(&m, &b, &e));
        for (size_t at = MSG_FIXED_BYTES; at < b.n; at++) {
            uint8_t was = b.p[at];
            for (int v = 0; v < 256; v++) {
                b.p[at] = (uint8_t)v;
                forge_seal(b.p, b.n);
                err_t rc = decode_copy(b.p, b.n, &e);
                assert_true(rc == ERR_OK || rc == ERR_PROTO);
            }
            b.p[at] = was;
        }
    }
    buf_free(&b);
}

struct hostile {
    const char *name;
    enum msg_type type;
    int at; // byte of the fixed part to overwrite, -1: none
    int value;
    const char *array; // hex, NULL: a good one
    const char *why;
};

static const struct hostile hostile[] = {
    { "other_magic", MSG_PING, 0, 'X', NULL, "not a message of this protocol" },
    { "another_version_names_both", MSG_PING, 4, 7, NULL,
      "version 7, this program version 6" },
    { "ping_with_a_packed_payload", MSG_PING, 8, 2, NULL,
      "PING with a payload of 0 bytes, packed from 1" },
    { "packed_into_nothing", MSG_ASSIGN, 8, 200, NULL,
      "ASSIGN with a payload of 0 bytes, packed" },
    { "unknown_type", MSG_PING, 6, 200, NULL, "unknown message type 200" },
    { "digest_without_payload", MSG_PING, 40, 1, NULL, "digest but no payload" },
    { "no_array_at_all", MSG_PING, -1, 0, "", "the bytes end" },
    { "not_an_array", MSG_PING, -1, 0, "01", "no array of 1" },
    { "too_few_fields", MSG_PING, -1, 0, "90", "no array of 1" },
    { "too_many_fields", MSG_PING, -1, 0, "920102", "too many values" },
    { "map", MSG_PING, -1, 0, "8101", "map" },
    { "extension", MSG_PING, -1, 0, "91d40000", "not allowed" },
    { "float32", MSG_PING, -1, 0, "91ca00000000", "not allowed" },
    { "the_byte_msgpack_never_uses", MSG_PING, -1, 0, "91c1", "not allowed" },
    { "four_billion_elements", MSG_PING, -1, 0, "ddffffffff", "more elements than bytes" },
    { "nested", MSG_PING, -1, 0, "9190", "nested too deep" },
    { "bytes_after_the_array", MSG_PING, -1, 0, "910100", "bytes follow" },
    { "negative_number", MSG_PING, -1, 0, "91ff", "PING.seq is not an unsigned integer" },
    { "text_for_a_number", MSG_PING, -1, 0, "91a131",
      "PING.seq is not an unsigned integer" },
    { "four_gigabytes_of_text", MSG_STOP, -1, 0, "91dbffffffff41", "past the last byte" },
    { "text_that_is_not_utf8", MSG_STOP, -1, 0, "91a2c328", "not UTF-8" },
    { "text_with_a_nul", MSG_STOP, -1, 0, "91a3410042", "STOP.reason is not plain text" },
    { "text_that_clears_the_screen", MSG_STOP, -1, 0, "91a41b5b324a",
      "STOP.reason is not plain text" },
    { "text_with_an_8_bit_control", MSG_STOP, -1, 0, "91a2c29b",
      "STOP.reason is not plain text" },
    { "bytes_for_text", MSG_STOP, -1, 0, "91c40141", "STOP.reason is not plain text" },
    { "short_digest", MSG_READY, -1, 0, "93c40f0000000000000000000000000000000101",
      "READY.job is not 16 bytes" },
};

static void hostile_header(void **state)
{
    const struct hostile *t = *state;
    struct err e;
    struct buf b = { 0 };
    struct msg m = { .type = t->type, .epoch = 1, .sid = 2 };
    PASS(&e, msg_encode(&m, &b, &e));
    if (t->array) {
        b.n = MSG_FIXED_BYTES;
        PASS(&e, buf_reserve(&b, strlen(t->array), &e));
        b.n += from_hex(t->array, b.p + b.n);
    }
    if (t->at >= 0) b.p[t->at] = (uint8_t)t->value;
    forge_seal(b.p, b.n);
    EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
    if (!strstr(e.text, t->why)) fail_msg("wanted '...%s...', got '%s'", t->why, e.text);
    buf_free(&b);
}

static void text_past_its_limit_is_refused(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    char text[257];
    memset(text, 'x', sizeof text);
    struct msg m = { .type = MSG_STOP };
    PASS(&e, msg_encode(&m, &b, &e));
    b.n = MSG_FIXED_BYTES;
    PASS(&e, buf_add(&b, "\x91\xda\x01\x01", 4, &e));
    PASS(&e, buf_add(&b, text, sizeof text, &e));
    forge_seal(b.p, b.n);
    EXPECT(ERR_PROTO, &e, decode_copy(b.p, b.n, &e));
    assert_non_null(strstr(e.text, "at most 256 bytes"));
    buf_free(&b);
}

static void a_frame_of_any_absurd_size_is_refused(void **state)
{
    (void)state;
    struct err e;
    uint8_t *p = calloc(1, MSG_HEADER_MAX + 1);
    EXPECT(ERR_PROTO, &e, decode_copy(p, 0, &e));
    EXPECT(ERR_PROTO, &e, decode_copy(p, MSG_FIXED_BYTES - 1, &e));
    EXPECT(ERR_PROTO, &e, decode_copy(p, MSG_HEADER_MAX + 1, &e));
    assert_non_null(strstr(e.text, "65537 bytes"));
    free(p);
}

// Several in one frame.

static size_t append_all(struct buf *b)
{
    struct err e;
    static uint8_t payload[300];
    for (size_t i = 0; i < N_OF(all_types); i++) {
        struct msg m = fixed_msg(all_types[i]);
        m.payload_bytes = i % 3 * 100;
        memset(payload, (int)i, sizeof payload);
        PASS(&e, msg_append(&m, payload, b, &e));
    }
    return N_OF(all_types);
}

static void messages_in_one_frame_come_back_in_order_with_their_payloads(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    size_t n = append_all(&b), at = 0, used;
    for (size_t i = 0; i < n; i++, at += used) {
        struct msg m = fixed_msg(all_types[i]), got;
        struct slice payload;
        m.payload_bytes = i % 3 * 100;
        if (!m.payload_bytes) m.payload_hash = (struct hash128){ 0 };
        PASS(&e, msg_decode_next(b.p + at, b.n - at, &got, &payload, &used, &e));
        same(&m, &got);
        EQ_I64(m.payload_bytes, payload.n);
        for (size_t k = 0; k < payload.n; k++)
            EQ_I64(i, payload.p[k]);
    }
    EQ_I64(b.n, at);
    struct msg got;
    EXPECT(ERR_PROTO, &e, msg_decode(b.p, b.n, &got, &e));
    buf_free(&b);
}

// Every frame that was cut short gives fewer messages and an error, or ends between two.
static void a_frame_of_many_that_was_cut_is_seen(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    size_t whole = append_all(&b);
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *copy = malloc(n + !n);
        memcpy(copy, b.p, n);
        size_t at = 0, used, found = 0;
        err_t rc = ERR_OK;
        for (; at < n && rc == ERR_OK; at += used, found++) {
            struct msg got;
            struct slice payload;
            rc = msg_decode_next(copy + at, n - at, &got, &payload, &used, &e);
            if (rc != ERR_OK) break;
        }
        assert_true(rc == ERR_PROTO || at == n);
        assert_true(found < whole);
        free(copy);
    }
    buf_free(&b);
}

static void a_message_that_cannot_be_encoded_leaves_the_frame_as_it_was(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct msg good = fixed_msg(MSG_PING),
               bad = { .type = MSG_ASSIGN, .ASSIGN.path = msg_str("a\0b", 3) };
    good.payload_bytes = 0;
    PASS(&e, msg_append(&good, NULL, &b, &e));
    size_t n = b.n;
    EXPECT(ERR_INVALID, &e, msg_append(&bad, NULL, &b, &e));
    EQ_I64(n, b.n);
    buf_free(&b);
}

// What the encoder does with what it is given.

static struct msg_str after_a_trip(const char *text, size_t n, struct buf *b)
{
    struct err e;
    struct msg m = { .type = MSG_STOP, .STOP.reason = msg_str(text, n) }, got;
    PASS(&e, msg_encode(&m, b, &e));
    PASS(&e, msg_decode(b->p, b->n, &got, &e));
    return got.STOP.reason;
}

static void long_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct buf b = { 0 };
    char text[300];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', sizeof text);
        for (size_t i = shift; i + 4 <= sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 4);
        struct msg_str got = after_a_trip(text, sizeof text, &b);
        EQ_I64(shift ? 252 + shift : 256, got.n);
        assert_memory_equal(text, got.p, got.n);
    }
    memset(text, 0x80, sizeof text);
    EQ_I64(256, after_a_trip(text, sizeof text, &b).n);
    buf_free(&b);
}

static void text_that_may_not_be_sent_is_mended(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct msg_str got = after_a_trip("a\0b\xff\xc3\xa4\xe2\x82", 8, &b);
    EQ_I64(8, got.n);
    assert_memory_equal("a?b?\xc3\xa4??", got.p, 8);
    got = after_a_trip("a\t\n\r\x1b[1m\x7f\xc2\x9b\xc2\xa0", 13, &b);
    EQ_I64(13, got.n);
    assert_memory_equal("a\t\n??[1m???\xc2\xa0", got.p, 13);
    buf_free(&b);
}

static void a_path_is_kept_byte_for_byte_or_refused(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    char path[4097];
    memset(path, 0xff, sizeof path);
    struct msg m = { .type = MSG_ASSIGN, .ASSIGN.path = msg_str(path, 4096) }, got;
    PASS(&e, msg_encode(&m, &b, &e));
    PASS(&e, msg_decode(b.p, b.n, &got, &e));
    EQ_I64(4096, got.ASSIGN.path.n);
    assert_memory_equal(path, got.ASSIGN.path.p, 4096);
    m.ASSIGN.path.n = 4097;
    EXPECT(ERR_INVALID, &e, msg_encode(&m, &b, &e));
    m.ASSIGN.path = msg_str("a\0b", 3);
    EXPECT(ERR_INVALID, &e, msg_encode(&m, &b, &e));
    buf_free(&b);
}

static void the_digest_of_no_payload_does_not_travel(void **state)
{
    (void)state;
    struct err e;
    struct buf b = { 0 };
    struct msg m = { .type = MSG_PING, .payload_hash = { 1, 2 } }, got;
    PASS(&e, msg_encode(&m, &b, &e));
    PASS(&e, msg_decode(b.p, b.n, &got, &e));
    assert_true(hash_equal((struct hash128){ 0 }, got.payload_hash));
    buf_free(&b);
}

// Log lines.

static void a_log_line_names_the_attempt_and_no_secret(void **state)
{
    (void)state;
    char line[200];
    struct msg m = { .type = MSG_RESULT,
                     .payload_bytes = 77,
                     .RESULT = { .end = 1 << 20,
                                 .attempt = 1,
                                 .lease_sid = 5,
                                 .token = { 0x1234, 0x5678 },
                                 .rows_read = 9000 } };
    msg_describe(&m, line, sizeof line);
    assert_string_equal(
        "RESULT input 0 bytes 0-1048576 attempt 1 rows_read 9000 payload 77", line);
}

static void a_log_line_is_one_line(void **state)
{
    (void)state;
    char line[400], text[200];
    struct msg m = { .type = MSG_BYE, .BYE = { 3, msg_str("a\nb\x1b[1m\x7f", 8) } };
    msg_describe(&m, line, sizeof line);
    assert_string_equal("BYE code 3 text 'a?b?[1m?'", line);

    memset(text, 'x', sizeof text);
    m.BYE.text = msg_str(text, sizeof text);
    msg_describe(&m, line, sizeof line);
    EQ_I64(strlen("BYE code 3 text '...'") + 120, strlen(line));

    for (size_t cap = 1; cap < 30; cap++) {
        char *exact = malloc(cap);
        msg_describe(&m, exact, cap);
        EQ_I64(cap - 1, strlen(exact));
        free(exact);
    }
    m.type = (enum msg_type)12345;
    msg_describe(&m, line, sizeof line);
    assert_string_equal("?", line);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--golden") == 0) return print_golden(), 0;
    seed = (uint64_t)time(NULL) | 1;
    const char *given = getenv("SEED");
    if (given) seed = strtoull(given, NULL, 10);
    printf("SEED=%llu\n", (unsigned long long)seed);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_values_come_back),
        cmocka_unit_test(bytes_on_the_wire_are_pinned),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(every_flipped_bit_is_an_error),
        cmocka_unit_test(no_byte_of_a_forged_array_does_harm),
        cmocka_unit_test(text_past_its_limit_is_refused),
        cmocka_unit_test(a_frame_of_any_absurd_size_is_refused),
        cmocka_unit_test(messages_in_one_frame_come_back_in_order_with_their_payloads),
        cmocka_unit_test(a_frame_of_many_that_was_cut_is_seen),
        cmocka_unit_test(a_message_that_cannot_be_encoded_leaves_the_frame_as_it_was),
        cmocka_unit_test(long_text_is_cut_between_characters),
        cmocka_unit_test(text_that_may_not_be_sent_is_mended),
        cmocka_unit_test(a_path_is_kept_byte_for_byte_or_refused),
        cmocka_unit_test(the_digest_of_no_payload_does_not_travel),
        cmocka_unit_test(a_log_line_names_the_attempt_and_no_secret),
        cmocka_unit_test(a_log_line_is_one_line),
    };
    return test_main("msg", tests, N_OF(tests), TABLE(hostile, hostile_header),
                     N_OF(hostile));
}

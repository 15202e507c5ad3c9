// docs/PROTOCOL.md has the tables that the code has. `test_protocol_doc --print` prints
// them.

#include "proto/fail.h"
#include "proto/msg.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef LEASE_FIELDS
#define LEASE_FIELDS(U64, H128) "*lease*, "
#define DOC_U64(f)              #f " U64, "
#define DOC_STR(f, max)         #f " STR " #max ", "
#define DOC_PATH(f, max)        #f " PATH " #max ", "
#define DOC_H128(f)             #f " H128, "

struct row {
    const char *name;
    const char *text; // of the table row; fields end with ", "
};

static const struct row messages[] = {
#define MESSAGE(NAME, num, dir, text, FIELDS)           \
    { #NAME, "| " #num " | " #NAME " | " dir " | " text \
             " | " FIELDS(DOC_U64, DOC_STR, DOC_PATH, DOC_H128) },
#include "proto/messages.def"
#undef MESSAGE
};

static const struct row codes[] = {
#define X(name, code, text, retry) { "ERR_" #name, "| " #code " | " text " | " },
    ERR_CODES(X)
#undef X
};

static const struct row classes[] = {
#define X(name, num, text) { "FAIL_CLASS_" #name, "| " #num " | " text " | " },
    FAIL_CLASSES(X)
#undef X
};

// The line as it stands in the document.
static void line_of(const struct row *r, char *out, size_t cap)
{
    size_t n = strlen(r->text);
    if (n > 2 && strcmp(r->text + n - 2, ", ") == 0) n -= 2;
    while (n > 0 && r->text[n - 1] == ' ')
        n--;
    snprintf(out, cap, "%.*s%s", (int)n, r->text, r->text[n - 1] == '|' ? "\n" : " |\n");
}

static char *document(void)
{
    static char text[1 << 16];
    FILE *f = fopen(TEST_DATA "/../../docs/PROTOCOL.md", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    assert_true(feof(f));
    fclose(f);
    return text;
}

static void stands_in_the_document(void **state)
{
    char line[1024];
    line_of(*state, line, sizeof line);
    if (!strstr(document(), line)) fail_msg("docs/PROTOCOL.md has no line\n%s", line);
}

// As many rows as there are: none of a message that is gone.
static void has_no_line_of_a_stranger(void **state)
{
    (void)state;
    size_t rows = 0;
    for (const char *p = document(); (p = strstr(p, "\n| ")); p++)
        rows += p[3] >= '0' && p[3] <= '9';
    size_t offsets = 10; // of the header
    EQ_I64(N_OF(messages) + N_OF(classes) + N_OF(codes) + offsets, rows);
}

static void print(const struct row *r, size_t n)
{
    char line[1024];
    for (size_t i = 0; i < n; i++) {
        line_of(&r[i], line, sizeof line);
        fputs(line, stdout);
    }
    puts("");
}

static struct CMUnitTest *add(struct CMUnitTest *t, const struct row *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *t++ = (struct CMUnitTest){ r[i].name, stands_in_the_document, NULL, NULL,
                                    (void *)(uintptr_t)&r[i] };
    return t;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        print(messages, N_OF(messages));
        print(classes, N_OF(classes));
        print(codes, N_OF(codes));
        return 0;
    }
    struct CMUnitTest tests[N_OF(messages) + N_OF(classes) + N_OF(codes) + 1], *t = tests;
    t = add(t, messages, N_OF(messages));
    t = add(t, classes, N_OF(classes));
    t = add(t, codes, N_OF(codes));
    *t++ = (struct CMUnitTest)cmocka_unit_test(has_no_line_of_a_stranger);
    return test_main("protocol document", tests, (size_t)(t - tests), NULL, 0);
}

// `tranche keys`, word by word.

#include "coordinator/cli.h"
#include "coordinator/cli_keys.h"
#include "proto/keys.h"
#include "tests/source_kit.h"

static struct folder dir;

static int fresh(void **state)
{
    (void)state;
    dir = folder_new();
    return setenv("TRANCHE_HOME", dir.path, 1);
}

static int finish(void **state)
{
    (void)state;
    folder_rm(&dir);
    return unsetenv("TRANCHE_HOME");
}

struct said {
    int code;
    char *out, *err;
};

// Words are separated by '|'.
static struct said say(const char *line)
{
    struct said s = { 0 };
    size_t n;
    char words[1024], *argv[16];
    int argc = 0;
    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words, *word; (word = strsep(&rest, "|"));)
        argv[argc++] = word;
    FILE *out = open_memstream(&s.out, &n), *complain = open_memstream(&s.err, &n);
    s.code = cli_keys(argc, argv, out, complain);
    fclose(out);
    fclose(complain);
    return s;
}

static void said_free(struct said *s)
{
    free(s->out);
    free(s->err);
}

// All of it, on standard output; nothing else.
static void gives(const char *line, const char *out)
{
    struct said s = say(line);
    assert_string_equal("", s.err);
    EQ_I64(CLI_OK, s.code);
    assert_string_equal(out, s.out);
    said_free(&s);
}

struct row {
    const char *name, *line, *err;
};

#define HELP "; see 'tranche keys --help'\n"
#define NEW  "keys|new|--worker|anna|--address|"

static const struct row rows[] = {
    { "no_verb", "keys", "tranche: keys: say what to do: new, list, allow or revoke" HELP },
    { "strange_verb", "keys|zebra",
      "tranche: keys: 'zebra' is none of new, list, allow and revoke" HELP },
    { "new_without_a_name", "keys|new",
      "tranche: keys: give the worker a name: --worker NAME" HELP },
    { "new_without_an_address", "keys|new|--worker=anna",
      "tranche: keys: where does the worker find the coordinator? --address "
      "tcp://HOST:PORT" HELP },
    { "new_with_an_operand", "keys|new|anna",
      "tranche: keys: new does not take 'anna'" HELP },
    { "list_with_an_operand", "keys|list|anna",
      "tranche: keys: list does not take 'anna'" HELP },
    { "list_in_a_strange_format", "keys|list|--output|xml",
      "tranche: keys: --output is human, json or quiet" HELP },
    { "flag_of_another_verb", "keys|list|--worker|anna",
      "tranche: keys: '--worker' is no flag of list, or its value is missing" HELP },
    { "value_is_missing", "keys|new|--worker",
      "tranche: keys: '--worker' is no flag of new, or its value is missing" HELP },
    { "flag_that_begins_like_one", "keys|new|--workers|3",
      "tranche: keys: '--workers' is no flag of new, or its value is missing" HELP },
    { "allow_without_a_key", "keys|allow|anna",
      "tranche: keys: allow takes a name and a public key" HELP },
    { "allow_what_is_no_key", "keys|allow|anna|abc",
      "tranche: keys: this is no public key: it has 40 characters (Z85)" HELP },
    { "allow_three_words", "keys|allow|anna|a|b",
      "tranche: keys: allow does not take 'b'" HELP },
    { "revoke_nobody", "keys|revoke",
      "tranche: keys: revoke takes the name of one worker" HELP },
    { "revoke_two", "keys|revoke|anna|bert",
      "tranche: keys: revoke takes the name of one worker" HELP },
};

static void is_refused_with_a_sentence(void **state)
{
    const struct row *row = *state;
    struct said s = say(row->line);
    assert_string_equal(row->err, s.err);
    assert_string_equal("", s.out);
    EQ_I64(CLI_USAGE, s.code);
    said_free(&s);
}

static void fails(const char *line, int code, const char *part)
{
    struct said s = say(line);
    if (!strstr(s.err, part)) fail_msg("%s\n  says: %s\n  not: %s", line, s.err, part);
    EQ_I64(code, s.code);
    said_free(&s);
}

static void a_name_or_address_that_is_none_makes_no_key(void **state)
{
    (void)state;
    char line[600] = NEW "tcp://h:"; // a port of very many digits
    memset(line + strlen(line), '0', KEYS_ADDRESS);
    strcpy(line + strlen(line), "1");
    fails(line, CLI_USAGE, "--address: longer than 299 bytes");
    fails(NEW "nonsense", CLI_USAGE, "nonsense");
    fails("keys|new|--worker|a b|--address|tcp://h:1", CLI_USAGE, "a b");
    gives("keys|list|--output|json", "");
}

static void a_worker_is_let_in_listed_and_sent_away(void **state)
{
    (void)state;
    char keys[PATH_SPACE], file[PATH_SPACE], line[PATH_SPACE + 100], want[PATH_SPACE + 100];
    struct err e;
    struct access a;
    char key[KEY_TEXT];
    cli_keys_folder(".", keys, sizeof keys);
    snprintf(want, sizeof want, "no workers are allowed in %s\n", keys);
    gives("keys|list", want);
    in_folder(&dir, "anna.access", file);
    snprintf(line, sizeof line, NEW "tcp://h:1|-o|%s", file);
    struct said s = say(line);
    EQ_I64(CLI_OK, s.code);
    assert_non_null(strstr(s.err, "copy it to the worker's host"));
    said_free(&s);
    PASS(&e, access_read(&a, file, &e));
    keys_text(a.own.public_key, key);
    snprintf(want, sizeof want, "%-30s %s\n", "anna", key);
    gives("keys|list", want);
    gives("keys|list|--output|quiet", "");
    snprintf(want, sizeof want, "{\"worker\":\"anna\",\"public_key\":\"%s\"}\n", key);
    gives("keys|list|--output=json", want);
    fails(line, CLI_USAGE, "anna");
    gives("keys|revoke|anna", "");
    fails("keys|revoke|anna", CLI_USAGE, "anna");
    fails(line, CLI_USAGE, "there already"); // the file: and so nobody is let in
    gives("keys|list|--output|json", "");
    snprintf(line, sizeof line, "keys|allow|bert|%s", key);
    gives(line, "");
    snprintf(want, sizeof want, "%-30s %s\n", "bert", key);
    gives("keys|list", want);
}

static void an_access_file_may_go_to_standard_output(void **state)
{
    (void)state;
    struct said s = say(NEW "tcp://h:1");
    EQ_I64(CLI_OK, s.code);
    assert_non_null(strstr(s.out, "name anna"));
    said_free(&s);
}

static void one_that_cannot_be_written_lets_nobody_in(void **state)
{
    (void)state;
    static char new[] = "new", worker[] = "--worker=anna",
                address[] = "--address=tcp://h:1";
    char *argv[] = { new, new, worker, address };
    char *text = NULL;
    size_t n;
    FILE *full = fopen("/dev/full", "w"), *complain = open_memstream(&text, &n);
    assert_non_null(full);
    EQ_I64(CLI_INFRASTRUCTURE, cli_keys(N_OF(argv), argv, full, complain));
    fclose(full);
    fclose(complain);
    assert_non_null(strstr(text, "cannot write to standard output"));
    free(text);
    gives("keys|list|--output|json", "");
}

static void a_damaged_list_is_said(void **state)
{
    (void)state;
    char path[PATH_SPACE], keys[PATH_SPACE];
    gives("keys|list|--output|json", "");
    assert_int_equal(0, mkdir(in_folder(&dir, "keys", keys), 0700));
    put_text(&dir, "keys/allowed", "role allowed\nworker anna nokey\n");
    chmod(in_folder(&dir, "keys/allowed", path), 0600);
    fails("keys|list", CLI_USAGE, "keys/allowed");
    fails("keys|revoke|anna", CLI_USAGE, "keys/allowed");
}

static void help_is_there_wherever_it_is_asked_for(void **state)
{
    (void)state;
    gives("keys|--help", cli_keys_help);
    gives("keys|new|--worker|-h", cli_keys_help);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_FOLDER(a_name_or_address_that_is_none_makes_no_key),
        IN_FOLDER(a_worker_is_let_in_listed_and_sent_away),
        IN_FOLDER(an_access_file_may_go_to_standard_output),
        IN_FOLDER(one_that_cannot_be_written_lets_nobody_in),
        IN_FOLDER(a_damaged_list_is_said),
        IN_FOLDER(help_is_there_wherever_it_is_asked_for),
    };
    struct CMUnitTest *table = TABLE(rows, is_refused_with_a_sentence);
    return test_main("cli_keys", tests, N_OF(tests), table, N_OF(rows));
}

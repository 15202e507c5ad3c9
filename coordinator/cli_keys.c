#include "coordinator/cli_keys.h"

#include "common/say.h"
#include "coordinator/cli.h"
#include "proto/endpoint.h"
#include "proto/keys.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char cli_keys_help[] =
    "Usage: tranche keys new --worker NAME --address tcp://HOST:PORT [-o FILE]\n"
    "       tranche keys new --client NAME --address tcp://HOST:PORT [-o FILE]\n"
    "       tranche keys list [--output human|json|quiet]\n"
    "       tranche keys allow NAME PUBLICKEY\n"
    "       tranche keys revoke NAME\n"
    "\n"
    "Workers on other hosts come in through 'tranche run --listen', and only with a key "
    "that\n"
    "is on the allow list. All keys stand in .tranche/keys in the current folder, or in\n"
    "$TRANCHE_HOME/keys: call it where the job file is. A running coordinator sees every\n"
    "change; who is revoked is sent away at once. Clients of 'tranche serve --listen' "
    "have\n"
    "keys of their own: a worker's opens nothing there, and the other way round.\n"
    "\n"
    "  new      makes a key pair for one worker, puts its public key on the allow list "
    "and\n"
    "           prints the access file: copy it to the worker's host (mode 600), and "
    "there\n"
    "           start 'tranche-worker --access FILE'. The coordinator's own keys are made\n"
    "           when this is called for the first time\n"
    "  list     shows who is allowed\n"
    "  allow    allows a public key that was made elsewhere\n"
    "  revoke   takes a worker off the list\n"
    "\n"
    "      --worker NAME       the worker's name in reports: letters, digits, '.', '_', "
    "'-'\n"
    "      --client NAME       for new, allow and revoke: a client of a server, who may "
    "submit\n"
    "                          jobs, and thereby do all that the server's user may\n"
    "      --address ENDPOINT  where the worker finds the coordinator: "
    "tcp://HOST:PORT\n"
    "  -o FILE                 write the access file (mode 0600) instead of printing it\n"
    "  -h, --help              show this help\n"
    "\n"
    "Examples:\n"
    "  tranche keys new --worker anna --address tcp://10.0.0.1:5555 -o anna.access\n"
    "  tranche keys revoke anna\n"
    "\n"
    "Exit codes:\n"
    "  0    done\n"
    "  1    infrastructure: disk\n"
    "  2    usage\n";

struct asked {
    const char *verb, *worker, *client, *address, *file, *output, *operand[2];
    int n_operands;
    char dir[4200];
    char clients[4300]; // the allow list of those who come to a server (docs/SERVE.md)
    FILE *say, *complain;
};

__attribute__((format(printf, 2, 3))) static int usage(struct asked *k, const char *fmt,
                                                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tranche: keys: ", k->complain);
    say_to_v(k->complain, fmt, ap);
    fputs("; see 'tranche keys --help'\n", k->complain);
    va_end(ap);
    return CLI_USAGE;
}

static int failed(struct asked *k, err_t rc, const struct err *e)
{
    say_to(k->complain, "tranche: %s\n", e->text);
    return rc == ERR_INVALID || rc == ERR_TOOBIG ? CLI_USAGE : CLI_INFRASTRUCTURE;
}

void cli_keys_folder(const char *dir, char *out, size_t size)
{
    const char *home = getenv("TRANCHE_HOME");
    if (home && home[0])
        snprintf(out, size, "%s/keys", home);
    else
        snprintf(out, size, "%s/.tranche/keys", dir);
}

static const char *list_of(const struct asked *k)
{
    return k->client ? k->clients : k->dir;
}

// ---- the verbs ----

static err_t hand_out(struct asked *k, const struct access *a, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = access_encode(a, &text, e);
    if (rc == ERR_OK && k->file)
        rc = keys_write_new(k->file, text.p, text.n, e);
    else if (rc == ERR_OK &&
             (fwrite(text.p, 1, text.n, k->say) != text.n || fflush(k->say) != 0))
        rc = err_sys(e, "cannot write to standard output");
    if (text.p) keys_wipe(text.p, text.cap);
    buf_free(&text);
    return rc;
}

static int make_new(struct asked *k)
{
    struct err e, ignored;
    struct key_pair own;
    struct access a = { 0 };
    const char *name = k->client ? k->client : k->worker;
    if (!name) return usage(k, "give the worker a name: --worker NAME");
    if (k->client && k->worker)
        return usage(k, "a key is a worker's or a client's: --worker or --client");
    if (!k->address)
        return usage(k, "where does the worker find the coordinator? --address "
                        "tcp://HOST:PORT");
    err_t rc = endpoint_check_tcp(k->address, false, &e);
    if (rc == ERR_OK && strlen(k->address) >= sizeof a.address)
        rc = err_set(&e, ERR_TOOBIG, "--address: longer than %zu bytes",
                     sizeof a.address - 1);
    if (rc == ERR_OK) rc = keys_coordinator(k->dir, true, &own, &e);
    if (rc == ERR_OK) rc = keys_new(&a.own, &e);
    if (rc == ERR_OK) rc = keys_allow(list_of(k), name, a.own.public_key, &e);
    if (rc == ERR_OK) {
        snprintf(a.name, sizeof a.name, "%s", name);
        snprintf(a.address, sizeof a.address, "%s", k->address);
        memcpy(a.coordinator, own.public_key, KEY_BYTES);
        rc = hand_out(k, &a, &e);
        if (rc != ERR_OK && keys_revoke(list_of(k), name, &ignored) != ERR_OK)
            say_to(k->complain, "tranche: %s\n", ignored.text);
    }
    keys_wipe(&own, sizeof own);
    keys_wipe(&a, sizeof a);
    if (rc != ERR_OK) return failed(k, rc, &e);
    if (k->file && k->client)
        say_to(k->complain,
               "%s: copy it to the client's host; there: tranche submit --access %s\n",
               k->file, k->file);
    else if (k->file)
        say_to(k->complain,
               "%s: copy it to the worker's host; there: tranche-worker --access %s\n",
               k->file, k->file);
    return CLI_OK;
}

static err_t list_one(struct asked *k, const char *dir, const char *role, size_t *n,
                      struct err *e)
{
    struct allow_list l;
    bool json = k->output && strcmp(k->output, "json") == 0;
    bool quiet = k->output && strcmp(k->output, "quiet") == 0;
    TRY(keys_allowed(dir, &l, e));
    *n += l.n;
    for (size_t i = 0; i < l.n && !quiet; i++) {
        char key[KEY_TEXT]; // Z85 has neither quotes nor backslashes
        keys_text(l.v[i].key, key);
        if (json)
            fprintf(k->say, "{\"%s\":\"%s\",\"public_key\":\"%s\"}\n", role, l.v[i].name,
                    key);
        else
            fprintf(k->say, "%-30s %s%s\n", l.v[i].name, key,
                    strcmp(role, "client") == 0 ? " (client)" : "");
    }
    allow_list_free(&l);
    return ERR_OK;
}

static int list(struct asked *k)
{
    struct err e;
    size_t n = 0;
    if (k->output && strcmp(k->output, "json") != 0 && strcmp(k->output, "human") != 0 &&
        strcmp(k->output, "quiet") != 0)
        return usage(k, "--output is human, json or quiet");
    err_t rc = list_one(k, k->dir, "worker", &n, &e);
    if (rc == ERR_OK) rc = list_one(k, k->clients, "client", &n, &e);
    if (rc != ERR_OK) return failed(k, rc, &e);
    if (n == 0 && !k->output) fprintf(k->say, "no workers are allowed in %s\n", k->dir);
    return fflush(k->say) == 0 ? CLI_OK : CLI_INFRASTRUCTURE;
}

static int allow(struct asked *k)
{
    struct err e;
    struct key_pair own;
    uint8_t key[KEY_BYTES];
    int names = k->client ? 0 : 1;
    if (k->n_operands != names + 1) return usage(k, "allow takes a name and a public key");
    if (!keys_parse(k->operand[names], key))
        return usage(k, "this is no public key: it has 40 characters (Z85)");
    err_t rc = keys_coordinator(k->dir, true, &own, &e);
    keys_wipe(&own, sizeof own);
    const char *name = k->client ? k->client : k->operand[0];
    if (rc == ERR_OK) rc = keys_allow(list_of(k), name, key, &e);
    return rc == ERR_OK ? CLI_OK : failed(k, rc, &e);
}

static int revoke(struct asked *k)
{
    struct err e;
    if (k->n_operands != (k->client ? 0 : 1))
        return usage(k, "revoke takes the name of one worker");
    err_t rc = keys_revoke(list_of(k), k->client ? k->client : k->operand[0], &e);
    return rc == ERR_OK ? CLI_OK : failed(k, rc, &e);
}

// ---- the command line ----

// "--name VALUE" or "--name=VALUE"; NULL: it is another flag, or the value is missing.
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0) return NULL;
    if (argv[*i][n] == '=') return argv[*i] + n + 1;
    if (argv[*i][n] || *i + 1 >= argc) return NULL;
    return argv[++*i];
}

// A public key may begin with a dash: what follows the name is taken as it is.
static bool is_operand(const struct asked *k, const char *arg)
{
    return arg[0] != '-' || (!strcmp(k->verb, "allow") && k->n_operands == 1) ||
           (!strcmp(k->verb, "allow") && k->client && strlen(arg) == KEY_TEXT - 1);
}

static int read_flags(struct asked *k, int argc, char **argv)
{
    const struct {
        const char *name, **at, *verb;
    } flags[] = { { "--worker", &k->worker, "new" },   { "--client", &k->client, "new" },
                  { "--client", &k->client, "allow" }, { "--client", &k->client, "revoke" },
                  { "--address", &k->address, "new" }, { "-o", &k->file, "new" },
                  { "--output", &k->output, "list" } };
    for (int i = 2; i < argc; i++) {
        const char *v = NULL;
        if (is_operand(k, argv[i])) {
            if (k->n_operands == 2 || !strcmp(k->verb, "new") || !strcmp(k->verb, "list"))
                return usage(k, "%s does not take '%.60s'", k->verb, argv[i]);
            k->operand[k->n_operands++] = argv[i];
            continue;
        }
        for (size_t f = 0; f < sizeof flags / sizeof *flags && !v; f++) {
            if (strcmp(k->verb, flags[f].verb) != 0) continue;
            v = value_of(flags[f].name, argc, argv, &i);
            if (v) *flags[f].at = v;
        }
        if (!v)
            return usage(k, "'%.60s' is no flag of %s, or its value is missing", argv[i],
                         k->verb);
    }
    return -1;
}

int cli_keys(int argc, char **argv, FILE *say, FILE *complain)
{
    static const struct {
        const char *name;
        int (*fn)(struct asked *k);
    } verbs[] = {
        { "new", make_new }, { "list", list }, { "allow", allow }, { "revoke", revoke }
    };
    struct asked k = { .say = say, .complain = complain };
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(cli_keys_help, say) < 0 || fflush(say) ? CLI_INFRASTRUCTURE
                                                                : CLI_OK;
    if (argc < 2) return usage(&k, "say what to do: new, list, allow or revoke");
    k.verb = argv[1];
    cli_keys_folder(".", k.dir, sizeof k.dir);
    snprintf(k.clients, sizeof k.clients, "%s/clients", k.dir);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(k.verb, verbs[i].name) != 0) continue;
        int code = read_flags(&k, argc, argv);
        return code >= 0 ? code : verbs[i].fn(&k);
    }
    return usage(&k, "'%.60s' is none of new, list, allow and revoke", k.verb);
}

// cli_keys - `tranche keys`: makes, lists, allows and revokes the keys of workers.

#ifndef COORDINATOR_CLI_KEYS_H
#define COORDINATOR_CLI_KEYS_H

#include <stdio.h>

extern const char cli_keys_help[];

// The folder of keys below the state folder: "$TRANCHE_HOME/keys", or DIR/.tranche/keys.
void cli_keys_folder(const char *dir, char *out, size_t size);

// argv[0] is "keys". Everything is done or said when it returns; the exit code.
int cli_keys(int argc, char **argv, FILE *say, FILE *complain);

#endif

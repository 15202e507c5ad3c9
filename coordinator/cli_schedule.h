// cli_schedule - `tranche schedule install|list|remove`.

#ifndef COORDINATOR_CLI_SCHEDULE_H
#define COORDINATOR_CLI_SCHEDULE_H

#include <stdio.h>

// The whole command; argv[0] is "schedule". Returns the exit code.
int cli_schedule(int argc, char **argv, FILE *say, FILE *complain);

#endif

// history_place - the folder of the history that `tranche runs`, explain and report tell
// from.

#ifndef COORDINATOR_HISTORY_PLACE_H
#define COORDINATOR_HISTORY_PLACE_H

#include "coordinator/run.h"

// `state`, when it is given. Else that of `where`, a job file (as a run of it has it:
// run_state_dir) or a folder: itself when runs.db is in it, else the .tranche in it. NULL:
// of the current folder, as runs by flags alone have it.
void history_place(const char *state, const char *where, char out[RUN_STATE_DIR]);

// A sentence's end where there is no history; it begins with the folder that was looked at.
#define HISTORY_ELSEWHERE                                                                  \
    "%s; it stands beside the job file or in TRANCHE_HOME: name that file or its folder, " \
    "or give --state FOLDER"

#endif

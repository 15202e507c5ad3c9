// serve_job - a job of a server, in a process of its own: `tranche serve-job`, which only
// serve starts.
//
// Standard input is what was submitted (submission.h); descriptor SERVE_JOB_LOCK a copy of
// the server's lock, which tells the next server that this process is still there;
// TRANCHE_HOME the server's state folder. From there on it is `tranche run`, in the folder
// in which the job was submitted.

#ifndef COORDINATOR_SERVE_JOB_H
#define COORDINATOR_SERVE_JOB_H

// Processes close their descriptors from below as they end: the locks of a load go first.
enum { SERVE_JOB_LOCK = 200 };

// argv[1] is the number of the job; argv[2], if there is one: where workers of other hosts
// come in. Exit codes of cli.h.
int serve_job(int argc, char **argv);

#endif

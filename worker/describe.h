// describe - `tranche-worker --describe`: what columns a job gives.
//
// Standard input: u64 length and a spec, CSV_PAD bytes, a sample of whole records, CSV_PAD
// bytes. Answer on standard output: u32 err_t, then a sentence, or the spec
// without params and tables but with its columns, and with those of steps that had to be
// tried.
//
// The job's code runs in a child process, so that one that crashes, exits, hangs or writes
// to standard output is told from one that answers.

#ifndef WORKER_DESCRIBE_H
#define WORKER_DESCRIBE_H

int describe_main(void); // exit code

#endif

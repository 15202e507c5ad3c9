// version - which state of the source a program was built from. Only the files of main()
// may name it: what changes with each commit is linked into the programs alone.

#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

extern const char version_commit[]; // "3f2a91c0de"; "": it was no repository

#endif

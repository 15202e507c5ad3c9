// rmtree - removes a folder with all that is in it.
//
// Never follows a link: what a program made may point anywhere. A folder that it made
// unreadable is made readable first; one that is more than a hundred levels deep stays.
// What cannot be removed is left: nobody waits for it.

#ifndef COMMON_RMTREE_H
#define COMMON_RMTREE_H

void rmtree(const char *path);
void rmtree_below(int dir); // what is in it; the folder stays, the descriptor is yours

#endif

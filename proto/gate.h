// gate - who may come in over TCP: the allow list as its file says now, workers that broke
// the rules of this run, and a count of all who were sent away.
//
// Every function may be called from any thread.

#ifndef PROTO_GATE_H
#define PROTO_GATE_H

#include "common/clock.h"
#include "proto/keys.h"

struct gate;

// Reads DIR/allowed.
MUST_CHECK err_t gate_open(struct gate **out, const char *dir, struct err *e);
void gate_free(struct gate **g);

// A user, in all that follows, is one worker with one key: "NAME KEY". A name that gets
// another key is another user.
enum { GATE_USER = KEYS_NAME + KEY_TEXT };

// False: unknown or banned, which is counted. `address`: where it comes from.
bool gate_admit(struct gate *g, const uint8_t *key, size_t n, const char *address,
                char user[GATE_USER]);
bool gate_allows(struct gate *g, const char *user);
void gate_ban(struct gate *g, const char *user); // until the gate is freed
void gate_count_stranger(
    struct gate *g); // it never said a key: plaintext, garbage, silence

// Reads the list again when its file changed, or in any case. True: it was read, and who
// came in before may have to go. A file that cannot be read leaves the old list as it is,
// and *why has the sentence, once.
bool gate_reload(struct gate *g, bool in_any_case, struct err *why);

// "3 connections were refused: ..."; false: nothing new, or too soon to say it.
bool gate_news(struct gate *g, ns_t now, char *out, size_t size);

// The name in "NAME KEY".
void gate_name(const char *user, char out[KEYS_NAME]);

#endif

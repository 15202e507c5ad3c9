// web_guard - who may ask: the address to listen on, the names that Host may have, the
// token. Text in, decisions out; the texts of requests are hostile.

#ifndef COORDINATOR_WEB_GUARD_H
#define COORDINATOR_WEB_GUARD_H

#include "common/base64.h"
#include "common/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

union web_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

// [HOST:]PORT; a HOST with colons stands in [brackets]; '*' is every address of this host.
// ERR_INVALID: it is none, or has no address.
MUST_CHECK err_t web_address_parse(const char *text, union web_address *out, struct err *e);
bool web_address_is_loopback(const union web_address *a);
enum { WEB_ADDRESS_TEXT = 80 };
// "127.0.0.1", "[::1]"; of an IPv4 address in an IPv6 one the former.
void web_address_host(const union web_address *a, char out[WEB_ADDRESS_TEXT]);
unsigned web_address_port(const union web_address *a);

enum { WEB_TOKEN_LEAST = 32, WEB_TOKEN_MAX = 1024 };
struct web_token {
    char text[WEB_TOKEN_MAX + 1];               // ""; no token is asked for
    char basic[BASE64_SIZE(WEB_TOKEN_MAX + 8)]; // base64 of "tranche:" and the token
};
// The file's first line; ERR_INVALID: others can read it, it is too short, or holds what
// does not fit into a header.
MUST_CHECK err_t web_token_read(struct web_token *t, const char *path, struct err *e);
// What stands behind "Authorization: ": Bearer TOKEN, or Basic with the user `tranche` and
// the token as password. Compared in a time that says nothing about the token.
bool web_token_matches(const struct web_token *t, const char *authorization); // NULL: none

// A page of somebody else's name that leads to this host's address (DNS rebinding) says its
// name in Host. `own`: the address that the connection came in at; `more` ends with NULL.
bool web_host_is_ours(const char *host, const char *own, const char *const *more);

#endif

#include "proto/endpoint.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

err_t endpoint_check_ipc(const char *endpoint, const char **path, struct err *e)
{
    struct sockaddr_un addr;
    if (strncmp(endpoint, "ipc:///", 7) != 0)
        return err_set(e, ERR_INVALID,
                       "%s: an endpoint is tcp://HOST:PORT, or ipc:// and an absolute path",
                       endpoint);
    *path = endpoint + 6;
    if (strlen(*path) >= sizeof addr.sun_path)
        return err_set(
            e, ERR_INVALID,
            "%s: %zu bytes are too long for the path of a socket (%zu at most): use "
            "a shorter folder name",
            *path, strlen(*path), sizeof addr.sun_path - 1);
    return ERR_OK;
}

bool endpoint_is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

// Cuts tcp://HOST:PORT; an IPv6 host stands in brackets, which stay out of `host`.
static bool cut_tcp(const char *endpoint, char host[ENDPOINT_HOST], const char **port)
{
    const char *p = endpoint + 6, *colon = strrchr(p, ':');
    if (!endpoint_is_tcp(endpoint) || !colon || colon == p || !colon[1]) return false;
    size_t n = (size_t)(colon - p);
    bool brackets = p[0] == '[' && p[n - 1] == ']';
    if (brackets) p++, n -= 2;
    if (n == 0 || n >= ENDPOINT_HOST || (!brackets && memchr(p, ':', n))) return false;
    memcpy(host, p, n);
    host[n] = 0;
    *port = colon + 1;
    return strpbrk(host, " /\t;[]") == NULL;
}

err_t endpoint_check_tcp(const char *endpoint, bool listening, struct err *e)
{
    char host[ENDPOINT_HOST];
    const char *port;
    if (!cut_tcp(endpoint, host, &port))
        return err_set(e, ERR_INVALID, "%s is not tcp://HOST:PORT", endpoint);
    char *end;
    unsigned long n = strtoul(port, &end, 10);
    if (port[0] < '0' || port[0] > '9' || *end || n > 65535)
        return err_set(e, ERR_INVALID, "%s: a port is a number up to 65535", endpoint);
    if (!listening && n == 0)
        return err_set(e, ERR_INVALID, "%s: port 0 is nowhere to connect to", endpoint);
    if (!listening && strcmp(host, "*") == 0)
        return err_set(e, ERR_INVALID, "%s: give the host to connect to", endpoint);
    return ERR_OK;
}

// libzmq would try for ever, silently.
err_t endpoint_resolve(const char *endpoint, struct err *e)
{
    char host[ENDPOINT_HOST];
    const char *port;
    struct addrinfo *found = NULL, hints = { .ai_socktype = SOCK_STREAM };
    if (!cut_tcp(endpoint, host, &port)) return ERR_OK;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc == 0) {
        freeaddrinfo(found);
        return ERR_OK;
    }
    return err_set(e, ERR_CLOSED, "%s: the host %s has no address: %s", endpoint, host,
                   gai_strerror(rc));
}

// Without keys the folder is what keeps other users out.
err_t endpoint_check_folder(const char *path, struct err *e)
{
    struct stat st;
    char dir[sizeof((struct sockaddr_un *)0)->sun_path];
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(dir, path, n);
    strcpy(dir + n, n ? "" : "/");
    if (stat(dir, &st) != 0) return err_sys(e, "%s", dir);
    if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_set(
            e, ERR_INVALID,
            "%s: a socket needs a folder that only its owner can enter (chmod 700)", dir);
    return ERR_OK;
}

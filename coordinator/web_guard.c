#include "coordinator/web_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_USER "tranche:"

// ---- addresses ----

static err_t bad_address(const char *text, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "'%.200s' is no [HOST:]PORT, e.g. 8080, 0.0.0.0:8080 or [::1]:8080",
                   text);
}

static bool is_port(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 5 && strspn(s, "0123456789") == n && strtol(s, NULL, 10) <= 65535;
}

// Splits it; *host "" where there is none.
static bool split(const char *text, char host[256], const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    *port = colon ? colon + 1 : text;
    bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets) text++, n -= 2;
    if (n >= 256 || (colon && n == 0) || !is_port(*port)) return false;
    if (!brackets && memchr(text, ':', n)) return false;
    memcpy(host, text, n);
    host[n] = 0;
    return true;
}

err_t web_address_parse(const char *text, union web_address *out, struct err *e)
{
    char host[256];
    const char *port;
    if (!split(text, host, &port)) return bad_address(text, e);
    const char *name = !*host ? "127.0.0.1" : strcmp(host, "*") == 0 ? "0.0.0.0" : host;
    const struct addrinfo want = { .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(name, port, &want, &found);
    if (rc != 0)
        return err_set(e, ERR_INVALID, "%s has no address here: %s", name,
                       gai_strerror(rc));
    *out = (union web_address){ 0 };
    if (found->ai_addrlen <= sizeof *out) memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return ERR_OK;
}

static bool is_mapped(const union web_address *a)
{
    return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr);
}

bool web_address_is_loopback(const union web_address *a)
{
    if (a->any.sa_family == AF_INET) return (ntohl(a->v4.sin_addr.s_addr) >> 24) == 127;
    if (a->any.sa_family != AF_INET6) return false;
    return is_mapped(a) ? a->v6.sin6_addr.s6_addr[12] == 127
                        : IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

void web_address_host(const union web_address *a, char out[WEB_ADDRESS_TEXT])
{
    char text[INET6_ADDRSTRLEN] = "";
    bool v4 = a->any.sa_family == AF_INET || is_mapped(a);
    const void *p = a->any.sa_family == AF_INET ? (const void *)&a->v4.sin_addr
                    : is_mapped(a)              ? (const void *)&a->v6.sin6_addr.s6_addr[12]
                                                : (const void *)&a->v6.sin6_addr;
    inet_ntop(v4 ? AF_INET : AF_INET6, p, text, sizeof text);
    snprintf(out, WEB_ADDRESS_TEXT, v4 ? "%s" : "[%s]", text);
}

unsigned web_address_port(const union web_address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

// ---- the token ----

static err_t check_file(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return err_sys(e, "%s", path);
    if (!S_ISREG(st.st_mode)) return err_set(e, ERR_INVALID, "%s is no file", path);
    if (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)))
        return err_set(e, ERR_INVALID,
                       "%s can be read or written by others: make it yours (chown) and "
                       "yours alone (chmod 600)",
                       path);
    return ERR_OK;
}

static err_t check_token(const char *token, size_t n, const char *path, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return err_set(e, ERR_INVALID,
                           "%s: a token has letters, digits and signs of ASCII only, and "
                           "no spaces",
                           path);
    if (n >= WEB_TOKEN_LEAST && n <= WEB_TOKEN_MAX) return ERR_OK;
    return err_set(e, ERR_INVALID,
                   "%s: a token has %d to %d characters, and this one %zu; 'openssl rand "
                   "-hex 32' makes a good one",
                   path, WEB_TOKEN_LEAST, WEB_TOKEN_MAX, n);
}

static err_t take_token(struct web_token *t, const char *bytes, size_t n, const char *path,
                        struct err *e)
{
    size_t line = 0;
    while (line < n && bytes[line] != '\n')
        line++;
    size_t len = line && bytes[line - 1] == '\r' ? line - 1 : line;
    TRY(check_token(bytes, len, path, e));
    char both[sizeof TOKEN_USER + WEB_TOKEN_MAX];
    memcpy(t->text, bytes, len);
    t->text[len] = 0;
    memcpy(both, TOKEN_USER, sizeof TOKEN_USER - 1);
    memcpy(both + sizeof TOKEN_USER - 1, bytes, len);
    base64_encode(both, sizeof TOKEN_USER - 1 + len, t->basic);
    return ERR_OK;
}

err_t web_token_read(struct web_token *t, const char *path, struct err *e)
{
    char bytes[WEB_TOKEN_MAX + 3]; // one more than fits, and a line end
    *t = (struct web_token){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return err_set(e, ERR_INVALID, "%s: %s", path, strerror(errno));
    err_t rc = check_file(fd, path, e);
    ssize_t n = rc == ERR_OK ? read(fd, bytes, sizeof bytes) : 0;
    if (n < 0) rc = err_sys(e, "%s", path);
    close(fd);
    return rc == ERR_OK ? take_token(t, bytes, (size_t)n, path, e) : rc;
}

// Looks at every character of `said`, however early they differ.
static bool same(const char *said, const char *token)
{
    size_t n = strlen(token), k = strlen(said);
    volatile unsigned char differ = n != k;
    for (size_t i = 0; i < k; i++)
        differ |= (unsigned char)(said[i] ^ token[i < n ? i : 0]);
    return !differ;
}

bool web_token_matches(const struct web_token *t, const char *authorization)
{
    if (!t->text[0]) return true;
    const char *a = authorization ? authorization : "";
    bool bearer = strncasecmp(a, "Bearer ", 7) == 0,
         basic = strncasecmp(a, "Basic ", 6) == 0;
    if (!bearer && !basic) return false;
    a += bearer ? 7 : 6;
    a += strspn(a, " ");
    return same(a, bearer ? t->text : t->basic);
}

// ---- names ----

static bool is_name(const char *host, size_t n, const char *name)
{
    return name && strlen(name) == n && strncasecmp(host, name, n) == 0;
}

bool web_host_is_ours(const char *host, const char *own, const char *const *more)
{
    if (!host) return false;
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (n == 0 || n > strlen(host)) return false; // "[" without "]"
    if (host[n] == ':' ? !is_port(host + n + 1) : host[n] != 0) return false;
    bool ours = is_name(host, n, "127.0.0.1") || is_name(host, n, "localhost") ||
                is_name(host, n, "[::1]") || is_name(host, n, own);
    for (; more && *more; more++)
        ours |= is_name(host, n, *more);
    return ours;
}

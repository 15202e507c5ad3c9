// http_kit - a server on a free port of this machine that answers by the path:
//
//   /one        [0]
//   /none       []
//   /from?i=N   [1] where N >= 100, else []
//   /huge       a list of one text of 1 MiB
//   /never      nothing, as long as the asker stays

#ifndef TESTS_HTTP_KIT_H
#define TESTS_HTTP_KIT_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline bool http_kit_write(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static inline bool http_kit_answer(int fd, const char *path)
{
    enum { MIB = 1 << 20 };
    static char huge[MIB + 5];
    const char *body = "[0]", *i = strstr(path, "?i=");
    char head[120];
    if (strncmp(path, "/never", 6) == 0) return true;
    if (strncmp(path, "/none", 5) == 0) body = "[]";
    if (strncmp(path, "/from", 5) == 0)
        body = i && strtod(i + 3, NULL) >= 100 ? "[1]" : "[]";
    if (strncmp(path, "/huge", 5) == 0) {
        memset(huge, 'x', MIB + 4);
        memcpy(huge, "[\"", 2);
        memcpy(huge + MIB + 2, "\"]", 3);
        body = huge;
    }
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                     strlen(body));
    return http_kit_write(fd, head, (size_t)n) && http_kit_write(fd, body, strlen(body));
}

static inline void *http_kit_talk(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char text[4096];
    size_t n = 0;
    for (ssize_t k; (k = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;) {
        n += (size_t)k;
        text[n] = 0;
        if (!strstr(text, "\r\n\r\n")) continue;
        char *path = strchr(text, ' ');
        if (!path || !http_kit_answer(fd, path + 1)) break;
        n = 0;
    }
    close(fd);
    return NULL;
}

static inline void *http_kit_serve(void *arg)
{
    for (int fd; (fd = accept((int)(intptr_t)arg, NULL, NULL)) >= 0;) {
        pthread_t t;
        if (pthread_create(&t, NULL, http_kit_talk, (void *)(intptr_t)fd)) abort();
        pthread_detach(t);
    }
    return NULL;
}

// Started when first asked for; it ends with the process.
static inline int http_kit_port(void)
{
    static int port;
    if (port) return port;
    setenv("no_proxy", "127.0.0.1", 1);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t t;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) || listen(fd, 100) ||
        getsockname(fd, (struct sockaddr *)&a, &n) ||
        pthread_create(&t, NULL, http_kit_serve, (void *)(intptr_t)fd))
        abort();
    pthread_detach(t);
    return port = ntohs(a.sin_port);
}

#endif

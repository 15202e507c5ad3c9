#include "common/host.h"

#include "common/text.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

const char *host_arch(char out[HOST_ARCH])
{
    struct utsname host;
    uint16_t one = 1;
    uname(&host);
    snprintf(out, HOST_ARCH, "%.40s %s-endian", host.machine,
             *(uint8_t *)&one ? "little" : "big");
    return out;
}

struct hash128 host_boot_id(void)
{
    char text[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    return hash_bytes(text, n > 0 ? (size_t)n : 0);
}

static bool read_line(const char *path, char *out, int size)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool any = fgets(out, size, f) != NULL;
    fclose(f);
    if (any) out[strcspn(out, "\n")] = 0;
    return any;
}

// memory.max of a group and of those that it is in: "max", or bytes.
uint64_t host_memory_bytes(void)
{
    char group[3000], path[3100], text[64];
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    uint64_t least = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    if (!read_line("/proc/self/cgroup", group, sizeof group)) return least;
    if (strncmp(group, "0::/", 4) != 0) return least;
    for (char *end = group + strlen(group); end > group + 3; end = strrchr(group, '/')) {
        *end = 0;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group + 3);
        if (!read_line(path, text, sizeof text)) continue;
        uint64_t max = strtoull(text, NULL, 10);
        if (max && (!least || max < least)) least = max;
    }
    return least;
}

static const char *harmless(char *s)
{
    if (!*s) strcpy(s, "?");
    return text_make_harmless(s);
}

const char *host_name(char out[HOST_NAME])
{
    struct utsname host;
    uname(&host);
    snprintf(out, HOST_NAME, "%.*s", HOST_NAME - 1, host.nodename);
    return harmless(out);
}

// "model name : ..." on x86; ARM has numbers instead, and the machine's name must do.
const char *host_cpu(char out[HOST_CPU])
{
    char line[300];
    struct utsname host;
    FILE *f = fopen("/proc/cpuinfo", "re");
    uname(&host);
    snprintf(out, HOST_CPU, "%.40s", host.machine);
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value) continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, HOST_CPU, "%.*s", HOST_CPU - 1, value);
        break;
    }
    if (f) fclose(f);
    return harmless(out);
}

uint32_t host_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

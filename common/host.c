#include "common/host.h"

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

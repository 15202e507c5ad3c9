#include "common/host.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
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

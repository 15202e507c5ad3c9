// host - what this machine is, so that two processes can tell whether they share it.

#ifndef COMMON_HOST_H
#define COMMON_HOST_H

#include "common/hash.h"

#include <stdint.h>

enum { HOST_ARCH = 64 };
// "x86_64 little-endian". Programs of one run agree in this: batches travel as memory.
const char *host_arch(char out[HOST_ARCH]);
// Of this boot of the kernel; the same in all its containers.
struct hash128 host_boot_id(void);
// Bytes that processes here can have: of the machine, or less where a cgroup (v2) of this
// process has a limit. 0: unknown.
uint64_t host_memory_bytes(void);

// What people know it by, made harmless: UTF-8 without control characters; "?": unknown.
enum { HOST_NAME = 64, HOST_CPU = 96 };
const char *host_name(char out[HOST_NAME]);
const char *host_cpu(char out[HOST_CPU]); // the model, as the kernel has it
uint32_t host_cores(void);                // that are online

#endif

// replay - runs a fuzz target over files and folders given, where libFuzzer is not.

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return perror(path), 1;
    struct stat st;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode)) return fclose(f), 0;
    uint8_t *p = malloc((size_t)st.st_size + 1);
    size_t n = p ? fread(p, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(p, n);
    free(p);
    return 0;
}

int main(int argc, char **argv)
{
    int bad = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (!d) {
            bad |= replay(argv[i]);
            continue;
        }
        for (struct dirent *x; (x = readdir(d));) {
            if (x->d_name[0] == '.') continue;
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], x->d_name);
            bad |= replay(path);
            files++;
        }
        closedir(d);
    }
    printf("%d files replayed\n", files);
    return bad;
}

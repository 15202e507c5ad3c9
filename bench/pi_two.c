// The loop of examples/pi, split by hand over two processes: the peer of
// pi in bench/plugins, which builds and runs it.

#include "examples/pi/pi.c"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    enum { ROWS = 1000, TERMS = 1000000 };
    int pair[2];
    double sum = 0, other = 0;
    if (pipe(pair)) return 1;
    pid_t pid = fork();
    int64_t begin = pid ? 0 : ROWS / 2, end = pid ? ROWS / 2 : ROWS;
    for (int64_t i = begin; i < end; i++)
        sum += leibniz(i * TERMS, TERMS);
    if (pid == 0) return write(pair[1], &sum, sizeof sum) != (ssize_t)sizeof sum;
    if (pid < 0 || read(pair[0], &other, sizeof other) != (ssize_t)sizeof other) return 1;
    waitpid(pid, NULL, 0);
    printf("%.12f\n", 4 * (sum + other));
    return 0;
}

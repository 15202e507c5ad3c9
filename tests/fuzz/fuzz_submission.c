// What a client hands to a server: what decodes must survive encoding and decoding again.

#include "coordinator/submission.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    struct submission s, again;
    struct buf once = { 0 };
    uint8_t *p = exact_copy(data, size);
    err_t rc = submission_decode(&s, p, size, &e);
    if (rc != ERR_OK && rc != ERR_PROTO && rc != ERR_NOMEM) abort();
    if (rc == ERR_OK) {
        must(submission_encode(&s, &once, &e));
        if (once.n != size || memcmp(once.p, p, size) != 0) abort();
        must(submission_decode(&again, once.p, once.n, &e));
        submission_free(&again);
    }
    submission_free(&s);
    buf_free(&once);
    free(p);
    return 0;
}

// lease - what entitles a worker to return the result of one attempt.
//
// The token is a keyed digest of the rest under the run's secret, so a coordinator that was
// started again can tell what it once assigned without having stored it, and a worker can
// return only what it was given (RESULT, FAIL, NACK and PROGRESS bring it back).

#ifndef PROTO_LEASE_H
#define PROTO_LEASE_H

#include "common/err.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stdint.h>

enum { LEASE_SECRET_BYTES = 32 };

struct lease {
    uint32_t input;
    uint64_t begin, end; // byte range of the input
    uint32_t attempt;
    uint64_t epoch, sid; // of the assignment
    struct hash128 token;
};

// The secret of one run: the same whenever the same load is run with the same master
// secret, so that a coordinator that is started again knows what it gave out before.
void lease_secret_of(uint8_t secret[LEASE_SECRET_BYTES],
                     const uint8_t master[LEASE_SECRET_BYTES], const void *load, size_t n);
MUST_CHECK err_t lease_secret_new(uint8_t secret[LEASE_SECRET_BYTES], struct err *e);
void lease_sign(struct lease *l,
                const uint8_t secret[LEASE_SECRET_BYTES]); // sets the token
bool lease_verify(const struct lease *l, const uint8_t secret[LEASE_SECRET_BYTES]);

// A lease out of, and into, any message with LEASE_FIELDS; `part` is e.g. &msg->RESULT.
// Numbers on the wire that no lease can have give a lease without a token: never valid.
#define LEASE_GET(part)                                                  \
    lease_of((part)->input, (part)->begin, (part)->end, (part)->attempt, \
             (part)->lease_epoch, (part)->lease_sid, (part)->token)
#define LEASE_PUT(part, from)               \
    do {                                    \
        const struct lease *from_ = (from); \
        (part)->input = from_->input;       \
        (part)->begin = from_->begin;       \
        (part)->end = from_->end;           \
        (part)->attempt = from_->attempt;   \
        (part)->lease_epoch = from_->epoch; \
        (part)->lease_sid = from_->sid;     \
        (part)->token = from_->token;       \
    } while (0)

static inline struct lease lease_of(uint64_t input, uint64_t begin, uint64_t end,
                                    uint64_t attempt, uint64_t epoch, uint64_t sid,
                                    struct hash128 token)
{
    if (input > UINT32_MAX || attempt > UINT32_MAX) return (struct lease){ 0 };
    return (
        struct lease){ (uint32_t)input, begin, end, (uint32_t)attempt, epoch, sid, token };
}

#endif

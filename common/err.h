// err - one error value for the whole program.
//
// A fallible function returns `err_t`: 0 is success, anything else says what
// kind of thing went wrong, so a caller can branch on it. The sentence for a
// person lives in a caller-supplied `struct err`, filled once, where the fault
// was seen; callers on the way up may only put a phrase in front of it.

#ifndef COMMON_ERR_H
#define COMMON_ERR_H

// X(name, wire code, text, may another attempt help?)
// Wire codes are stable: they travel in FAIL messages and stand in runs.db.
#define ERR_CODES(X)                                      \
    X(OK, 0, "ok", 0)                                     \
    X(NOMEM, 1, "out of memory", 1)                       \
    X(IO, 2, "input/output error", 1)                     \
    X(INVALID, 3, "invalid argument", 0)                  \
    X(PARSE, 4, "malformed input", 0)                     \
    X(PROTO, 5, "peer broke the protocol", 0)             \
    X(TIMEOUT, 6, "timed out", 1)                         \
    X(CLOSED, 7, "peer is gone", 1)                       \
    X(DB, 8, "database error", 0)                         \
    X(TRANSFORM, 9, "transform failed", 0)                \
    X(BUSY, 10, "locked by another process", 1)           \
    X(FULL, 11, "no space left", 1)                       \
    X(FENCED, 12, "another run took over", 0)             \
    X(UNKNOWN, 13, "outcome of the commit is unknown", 1) \
    X(CHANGED, 14, "input changed", 0)                    \
    X(TOOBIG, 15, "larger than the limit", 0)             \
    X(DUP, 16, "already in the ledger", 0)                \
    X(DIED, 17, "process died", 1)                        \
    X(UNFIT, 18, "this host cannot do it", 1)

#define X(name, code, text, retry) ERR_##name = code,
typedef enum { ERR_CODES(X) ERR_N } err_t;
#undef X

struct err {
    err_t code;
    char text[1024];
};

// Every one of these tolerates e == NULL: a caller that does not want the
// sentence does not pay for it.
err_t err_set(struct err *e, err_t code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
err_t err_sys(struct err *e, const char *fmt, ...) // appends strerror(errno)
    __attribute__((format(printf, 2, 3)));
err_t err_wrap(struct err *e, err_t code, const char *fmt, ...) // "fmt: what stood there"
    __attribute__((format(printf, 3, 4)));

const char *err_name(err_t code);
int err_retryable(err_t code);

#define MUST_CHECK __attribute__((warn_unused_result))

// Return early from a function that owns nothing yet.
#define TRY(expr)                        \
    do {                                 \
        err_t try_ = (expr);             \
        if (try_ != ERR_OK) return try_; \
    } while (0)

#endif

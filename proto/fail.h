// fail - how an attempt failed: the class field of FAIL messages. Wire numbers are stable.

#ifndef PROTO_FAIL_H
#define PROTO_FAIL_H

// X(NAME, wire number, text)
#define FAIL_CLASSES(X)                                        \
    X(TRANSFORM, 1, "the transform failed")                    \
    X(CHANGED, 2, "the input changed")                         \
    X(TIMEOUT, 3, "the batch took longer than limits.timeout") \
    X(SIGNAL, 4, "the runner died")                            \
    X(RESOURCE, 5, "not enough memory or disk")                \
    X(INTERNAL, 6, "internal error")                           \
    X(UNFIT, 7, "the worker cannot run the program at all")

enum fail_class {
#define X(name, num, text) FAIL_CLASS_##name = num,
    FAIL_CLASSES(X)
#undef X
};

#endif

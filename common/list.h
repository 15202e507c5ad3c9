// list - a circular list through nodes inside the caller's structures. A node that is in no
// list points to itself; taking it out again is harmless.

#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

// The structure around a node.
#define LIST_OF(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_take(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline void list_add(struct list *l, struct list *node) // at the end
{
    list_take(node);
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline struct list *list_first(const struct list *l) // NULL: empty
{
    return list_empty(l) ? NULL : l->next;
}

#endif

#include "common/sink.h"

#include <string.h>

const struct sink_ops *sink_find(const char *name)
{
    static const struct sink_ops *const ALL[] = { &sink_sqlite, &sink_csv, &sink_jsonl,
                                                  &sink_null,   &sink_pg,  &sink_rows };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (strcmp(ALL[i]->name, name) == 0) return ALL[i];
    return NULL;
}

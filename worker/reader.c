#include "worker/reader.h"

#include <string.h>

const struct reader_ops *reader_find(const char *name)
{
    static const struct reader_ops *const all[] = { &reader_csv, &reader_lines,
                                                    &reader_jsonl, &reader_range,
                                                    &reader_rows };
    if (!name || !name[0]) return &reader_csv;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}

// press - rows to text while the next ones are made: sheets of rows are encoded and put
// where they go by a thread of its own, in order. The first sheet is printed by the caller,
// so that a small table starts no thread; so are all, where none can be had.
//
//     press_open(&p, sink, schema, put, arg, &e);
//     for some rows at a time:  press_sheet(&p, &sheet, &e);
//                               fill sheet->batch
//                               press_turn(&p, &e);
//     press_end(&p, &e);
//     press_close(&p);

#ifndef COORDINATOR_PRESS_H
#define COORDINATOR_PRESS_H

#include "common/buf.h"
#include "common/sink.h"

#include <pthread.h>

// From the press's thread or from the caller's, never from both at a time.
typedef err_t press_put(void *arg, const uint8_t *p, size_t n, struct err *e);

struct sheet {
    struct batch batch; // of cells, with room for SHEET_ROWS
    size_t text_bytes;  // of the values in it, as its filler counts them
};
enum { SHEET_ROWS = 512, SHEET_TEXT = 256 << 10, SHEETS = 4 };

struct press {
    const struct schema *schema;
    const struct sink_ops *sink;
    void *encoder;
    press_put *put;
    void *arg;
    size_t row_bytes; // of a row without its texts
    struct buf out;
    pthread_mutex_t lock; // of all that follows but the sheets
    pthread_cond_t more, less;
    pthread_t thread;
    bool running, ending;
    uint64_t filled, printed; // sheets, of which those between are the thread's
    err_t rc;                 // what went wrong in the thread
    struct err e;
    struct sheet sheet[SHEETS];
};

// All but `p` is borrowed. Close it, whatever comes of it.
MUST_CHECK err_t press_open(struct press *p, const struct sink_ops *sink,
                            const struct schema *schema, press_put *put, void *arg,
                            struct err *e);
// An empty sheet to fill, until its turn.
MUST_CHECK err_t press_sheet(struct press *p, struct sheet **out, struct err *e);
MUST_CHECK err_t press_turn(struct press *p, struct err *e); // it is to be printed
// Waits until all is put. What went wrong before is said here, too.
MUST_CHECK err_t press_end(struct press *p, struct err *e);
void press_close(struct press *p); // waits for what is being printed

#endif

#include "coordinator/estimate.h"

#include <math.h>

static const double WAITS_FROM = 3; // times the CPU time: a busy machine does less
static const double SPENT_MOST = 4; // seconds of all trials: no further one begins then

const char *estimate_bound_text(enum estimate_bound b)
{
    switch (b) {
    case ESTIMATE_START: return "starting and ending";
    case ESTIMATE_WORKERS: return "the workers";
    case ESTIMATE_CORES: return "this machine's cores";
    case ESTIMATE_LOADING: return "loading";
    case ESTIMATE_SOURCE: return "reading the source";
    case ESTIMATE_FAILING: return "finding the rows that the transforms fail on";
    case ESTIMATE_WAITING: break;
    }
    return "what the transforms wait for";
}

static double a_row(double seconds, uint64_t rows)
{
    return rows ? seconds / (double)rows : 0;
}

// Of two trials with other numbers of rows in a batch; else all of it counts as the rows'.
static void split_busy(struct estimate *x)
{
    const struct trial_cost *a = &x->in.first, *b = &x->in.last;
    double det = (double)a->chunks * (double)b->rows - (double)b->chunks * (double)a->rows;
    x->batch = 0;
    x->row = a_row(b->busy, b->rows);
    if (fabs(det) < 0.2 * (double)b->chunks * (double)a->rows + 0.5) return;
    double batch = (a->busy * (double)b->rows - b->busy * (double)a->rows) / det;
    double row = ((double)a->chunks * b->busy - (double)b->chunks * a->busy) / det;
    if (batch < 0 || row < 0) return;
    x->batch = batch;
    x->row = row;
}

struct parts { // seconds a row
    double workers, loading, cpu;
};

// The loader is one thread; what else the coordinator does, several others share.
static struct parts parts_of(const struct estimate *x)
{
    const struct trial_cost *t = &x->in.last;
    double coordinator = a_row(t->coordinator, t->rows);
    struct parts p = { .workers = a_row(t->worker_cpu, t->rows),
                       .loading = a_row(t->loading, t->rows) };
    if (x->in.last.rows > x->in.first.rows) {
        uint64_t more = x->in.last.rows - x->in.first.rows;
        coordinator = a_row(fmax(0, t->coordinator - x->in.first.coordinator), more);
        p.loading = a_row(fmax(0, t->loading - x->in.first.loading), more);
    }
    p.loading = fmax(p.loading, coordinator / 2);
    p.cpu = p.workers + coordinator;
    return p;
}

// Seconds a row of a run that computes.
static double model(const struct estimate *x, uint32_t slots, enum estimate_bound *bound)
{
    struct parts p = parts_of(x);
    double n = slots ? slots : 1, cores = x->in.cores ? x->in.cores : 1;
    double most = p.workers / n;
    *bound = ESTIMATE_WORKERS;
    if (p.loading > most) {
        most = p.loading;
        *bound = ESTIMATE_LOADING;
    }
    if (n <= cores && p.cpu / cores > most) {
        most = p.cpu / cores;
        *bound = ESTIMATE_CORES;
    }
    return most;
}

static uint64_t batches(const struct estimate *x)
{
    const struct trial_cost *t = &x->in.last;
    uint64_t rows = x->in.batch_rows;
    if (!rows) rows = t->chunks ? t->rows / t->chunks : 0;
    if (!rows) rows = 1;
    return (x->in.rows + rows - 1) / rows;
}

// Batches of so many rows are given out in rounds; others are made to come out even.
static double waiting(const struct estimate *x, uint32_t slots)
{
    double lanes = (double)(slots ? slots : 1) * (x->in.lanes ? x->in.lanes : 1);
    double n = (double)batches(x), rows = (double)x->in.rows;
    if (x->in.batch_rows) {
        double full = fmin((double)x->in.batch_rows, rows);
        return ceil(n / lanes) * (x->batch + full * x->row);
    }
    return fmax(n * x->batch + rows * x->row, x->batch + x->row) / fmin(lanes, fmax(n, 1));
}

static double trial_work(const struct estimate_in *in, const struct trial_cost *t)
{
    double lanes = (double)(in->slots ? in->slots : 1) * (in->lanes ? in->lanes : 1);
    double at_a_time = fmin(lanes, t->chunks ? (double)t->chunks : 1);
    return t->busy / at_a_time;
}

// Seconds of one, from a trial in which so many were under way.
static double of_request(const struct estimate *x, const struct trial_cost *t)
{
    double under_way = fmin(x->in.requests, (double)t->rows);
    return a_row(trial_work(&x->in, t) * under_way, t->rows);
}

// Requests: what all of them take when so many are under way, and what a batch waits for
// its slowest one.
static double requests(const struct estimate *x, uint32_t slots)
{
    const struct trial_cost *a = &x->in.first, *t = &x->in.last;
    double rows = (double)x->in.rows, n = (double)batches(x);
    double lanes = (double)(slots ? slots : 1) * (x->in.lanes ? x->in.lanes : 1);
    double one = fmin(of_request(x, a), of_request(x, t));
    double slowest = t->chunks ? t->busy / (double)t->chunks : 0;
    double all = fmax(rows * one / x->in.requests, ceil(n / lanes) * slowest);
    return fmax(all, rows * x->in.gap);
}

void estimate_init(struct estimate *x, const struct estimate_in *in)
{
    enum estimate_bound b;
    *x = (struct estimate){ .in = *in, .factor = 1 };
    const struct trial_cost *a = &in->first, *t = &in->last;
    x->waits = !in->computes && t->busy > WAITS_FROM * t->worker_cpu && t->busy > 0.01;
    x->begin = fmax(0, a->wall - trial_work(in, a));
    split_busy(x);
    if (t->rows <= a->rows) return;
    x->slope = fmax(0, (t->wall - a->wall) / (double)(t->rows - a->rows));
    double said = model(x, in->slots, &b);
    if (said > 0 && x->slope > 0) x->factor = fmin(fmax(x->slope / said, 0.5), 4);
}

// What no trial did: in time that others may use, unless it takes longest.
static double beyond(const struct estimate *x, double wall, enum estimate_bound *bound)
{
    if (x->in.source > wall - x->begin) {
        *bound = ESTIMATE_SOURCE;
        wall = x->begin + x->in.source;
    }
    if (x->in.loading > wall - x->begin) {
        *bound = ESTIMATE_LOADING;
        wall = x->begin + x->in.loading;
    }
    return wall;
}

static bool whole(const struct estimate *x)
{
    return x->in.last.rows >= x->in.rows;
}

double estimate_wall(const struct estimate *x, uint32_t slots, enum estimate_bound *bound)
{
    enum estimate_bound b;
    const struct trial_cost *t = &x->in.last;
    double rows = (double)x->in.rows, wall;
    double work = rows * model(x, slots, &b) * x->factor;
    bool as_tried = slots == x->in.slots;
    if (as_tried && whole(x)) {
        wall = t->wall;
        if (x->waits) b = ESTIMATE_WAITING;
    } else if (x->waits) {
        double w = x->in.requests ? requests(x, slots) : waiting(x, slots);
        if (w > work) b = ESTIMATE_WAITING;
        wall = x->begin + fmax(w, work);
    } else if (as_tried && x->slope > 0) {
        wall = t->wall + (rows - (double)t->rows) * x->slope;
    } else {
        wall = x->begin + work;
    }
    wall = beyond(x, wall, &b);
    if (wall < 2 * x->begin) b = ESTIMATE_START;
    if (x->in.fails) b = ESTIMATE_FAILING; // which is counted as starting, too
    if (bound) *bound = b;
    return wall;
}

uint64_t estimate_next_rows(const struct estimate_in *in, double wanted, double spent,
                            uint64_t most)
{
    enum { GROW_LEAST = 4, GROW_MOST = 256 };
    const struct trial_cost *t = &in->last;
    double work = trial_work(in, t);
    if (most > in->rows) most = in->rows;
    bool slow = t->wall > 2 * wanted || spent > SPENT_MOST; // failed batches do no work
    if (t->rows >= most || work > wanted / 3 || slow) return 0;
    double by = work > 0 ? wanted / work : GROW_MOST;
    by = fmin(fmax(by, GROW_LEAST), GROW_MOST);
    double rows = fmax((double)t->rows, 1) * by;
    return rows >= 0.6 * (double)most ? most : (uint64_t)rows;
}

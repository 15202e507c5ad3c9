#include "worker/forecast_model.h"

#include <assert.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BENDS_MAX = 25,
    WEEK_ORDER = 3,
    MONTH_ORDER = 5,
    YEAR_ORDER = 10,
    YEAR_ORDER_OF_MONTHS = 5, // twelve values a year cannot tell more of them
    BLOCKS = 6,
    COLUMNS_MAX =
        2 + BENDS_MAX + 2 * (WEEK_ORDER + MONTH_ORDER + YEAR_ORDER) + CALENDAR_HOLIDAYS,
    ROUNDS_MAX = 12,
};
static const double RIDGE_MIN = 1e-6, RIDGE_MAX = 1e8, NOISE_MIN = 1e-12;

enum block { BASE, BENDS, WEEK, MONTH, YEAR, HOLIDAYS };

struct forecast_model {
    struct forecast_rule rule;
    double z; // the interval's half width in standard deviations

    // The design: what follows from the days alone, and is kept while they stay the same.
    int64_t *day;
    double *x; // a row a point
    uint32_t n, cap;
    int columns, first[BLOCKS + 1]; // of each block
    double bend[BENDS_MAX];
    double gram[COLUMNS_MAX * COLUMNS_MAX]; // x'x: its lower triangle, by columns

    // The fit.
    double centre, unit; // y = centre + unit * what is fitted
    double ridge[BLOCKS], noise;
    double xy[COLUMNS_MAX], beta[COLUMNS_MAX];
    double factor[COLUMNS_MAX * COLUMNS_MAX];  // Cholesky's, lower
    double inverse[COLUMNS_MAX * COLUMNS_MAX]; // of that
};

// ---- the width of an interval ----

// Where the normal distribution has (1 + share) / 2 below: Newton's method on erf.
static double half_width(double share)
{
    double z = 1;
    for (int i = 0; i < 60; i++) {
        double step = (erf(z * M_SQRT1_2) - share) / (sqrt(2 / M_PI) * exp(-z * z / 2));
        z -= step > 0.5 ? 0.5 : step < -0.5 ? -0.5 : step;
    }
    return z;
}

struct forecast_model *forecast_model_new(const struct forecast_rule *r)
{
    struct forecast_model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->rule = *r;
    m->z = half_width(r->interval);
    return m;
}

void forecast_model_free(struct forecast_model **mm)
{
    struct forecast_model *m = *mm;
    *mm = NULL;
    if (!m) return;
    free(m->day);
    free(m->x);
    free(m);
}

// ---- the design ----

static double time_of(const struct forecast_model *m, int64_t day)
{
    return (double)(day - m->day[0]) / (double)(m->day[m->n - 1] - m->day[0]);
}

static int order_of_year(const struct forecast_model *m)
{
    return m->rule.step == CALENDAR_MONTH ? YEAR_ORDER_OF_MONTHS : YEAR_ORDER;
}

// A cycle is looked for where the series has two of them.
static void lay_out(struct forecast_model *m)
{
    int64_t span = m->day[m->n - 1] - m->day[0];
    bool days = m->rule.step == CALENDAR_DAY;
    uint32_t head = (uint32_t)((uint64_t)m->n * 4 / 5);
    int bends = head < 2 ? 0 : head - 1 < BENDS_MAX ? (int)head - 1 : BENDS_MAX;
    const int width[BLOCKS] = {
        [BASE] = 2,
        [BENDS] = bends,
        [WEEK] = days && span >= 14 ? 2 * WEEK_ORDER : 0,
        [MONTH] = days && span >= 61 ? 2 * MONTH_ORDER : 0,
        [YEAR] = span >= 2 * 365 - 31 ? 2 * order_of_year(m) : 0,
        [HOLIDAYS] =
            m->rule.holidays && m->rule.step != CALENDAR_MONTH ? CALENDAR_HOLIDAYS : 0,
    };
    for (int i = 0; i < bends; i++) {
        uint64_t at = (uint64_t)(i + 1) * (head - 1) / ((uint64_t)bends + 1);
        m->bend[i] = time_of(m, m->day[at]);
    }
    m->first[0] = 0;
    for (int i = 0; i < BLOCKS; i++)
        m->first[i + 1] = m->first[i] + width[i];
    m->columns = m->first[BLOCKS];
}

static int width_of(const struct forecast_model *m, enum block b)
{
    return m->first[b + 1] - m->first[b];
}

// A week is given by its first day, and has the holidays of its seven.
static void put_holidays(const struct forecast_model *m, int64_t day, double *x)
{
    uint32_t bits = 0;
    int days = m->rule.step == CALENDAR_WEEK ? 7 : 1;
    for (int i = 0; i < days; i++)
        bits |= calendar_holidays(day + i);
    for (int i = 0; i < CALENDAR_HOLIDAYS; i++)
        x[i] = bits >> i & 1;
}

static void put_row(const struct forecast_model *m, int64_t day, double *x)
{
    double t = time_of(m, day);
    x[0] = 1;
    x[1] = t;
    for (int i = 0; i < width_of(m, BENDS); i++)
        x[m->first[BENDS] + i] = t > m->bend[i] ? t - m->bend[i] : 0;
    if (width_of(m, WEEK))
        calendar_waves(calendar_week(day), WEEK_ORDER, x + m->first[WEEK]);
    if (width_of(m, MONTH))
        calendar_waves(calendar_month(day), MONTH_ORDER, x + m->first[MONTH]);
    if (width_of(m, YEAR))
        calendar_waves(calendar_year(day), width_of(m, YEAR) / 2, x + m->first[YEAR]);
    if (width_of(m, HOLIDAYS)) put_holidays(m, day, x + m->first[HOLIDAYS]);
}

// Four rows at a time go past the matrix; much of x is zero.
static void add_to_gram(struct forecast_model *m, const double *x, int rows)
{
    static const double none[COLUMNS_MAX];
    int p = m->columns;
    const double *a = x, *b = rows > 1 ? x + p : none, *c = rows > 2 ? x + 2 * p : none,
                 *d = rows > 3 ? x + 3 * p : none;
    for (int j = 0; j < p; j++) {
        double aj = a[j], bj = b[j], cj = c[j], dj = d[j];
        double *g = m->gram + (size_t)j * p;
        if (aj == 0 && bj == 0 && cj == 0 && dj == 0) continue;
        for (int i = j; i < p; i++)
            g[i] += aj * a[i] + bj * b[i] + cj * c[i] + dj * d[i];
    }
}

static err_t make_room(struct forecast_model *m, uint32_t n, struct err *e)
{
    if (n <= m->cap) return ERR_OK;
    m->n = m->cap = 0;
    free(m->day);
    free(m->x);
    m->day = malloc(n * sizeof *m->day);
    m->x = malloc((size_t)n * COLUMNS_MAX * sizeof *m->x);
    if (!m->day || !m->x) return err_set(e, ERR_NOMEM, "out of memory: a forecast");
    m->cap = n;
    return ERR_OK;
}

static err_t design(struct forecast_model *m, const int64_t *day, uint32_t n, struct err *e)
{
    if (n == m->n && memcmp(day, m->day, n * sizeof *day) == 0) return ERR_OK;
    TRY(make_room(m, n, e));
    memcpy(m->day, day, n * sizeof *day);
    m->n = n;
    lay_out(m);
    int p = m->columns;
    memset(m->gram, 0, sizeof *m->gram * (size_t)p * (size_t)p);
    for (uint32_t i = 0; i < n; i++)
        put_row(m, day[i], m->x + (size_t)i * p);
    for (uint32_t i = 0; i < n; i += 4)
        add_to_gram(m, m->x + (size_t)i * p, n - i < 4 ? (int)(n - i) : 4);
    return ERR_OK;
}

// ---- the fit ----

struct fit {
    double yy;    // of the values as they are fitted
    double jumps; // half the mean square from one value to the next: noise at most
};

// Values around 0 of size 1. Their largest is taken out first, for squares may overflow.
static struct fit take_values(struct forecast_model *m, const double *y)
{
    struct fit f = { 0 };
    double most = 0, mean = 0, before = 0;
    int p = m->columns;
    for (uint32_t i = 0; i < m->n; i++)
        if (fabs(y[i]) > most) most = fabs(y[i]);
    if (most == 0) most = 1;
    for (uint32_t i = 0; i < m->n; i++)
        mean += y[i] / most / m->n;
    for (uint32_t i = 0; i < m->n; i++)
        f.yy += (y[i] / most - mean) * (y[i] / most - mean);
    double size = sqrt(f.yy / m->n);
    if (!(size > 1e-14)) size = 1; // all the same
    memset(m->xy, 0, sizeof m->xy);
    for (uint32_t i = 0; i < m->n; i++) {
        const double *x = m->x + (size_t)i * p;
        double v = (y[i] / most - mean) / size;
        if (i > 0) f.jumps += (v - before) * (v - before) / (2 * (m->n - 1.0));
        before = v;
        for (int j = 0; j < p; j++)
            m->xy[j] += v * x[j];
    }
    f.yy /= size * size;
    m->centre = mean * most;
    m->unit = size * most;
    return f;
}

// What LAPACK calls when an argument is no good; its own prints and stops the program.
void xerbla_(const char *routine, const lapack_int *argument, size_t n);
void xerbla_(const char *routine, const lapack_int *argument, size_t n)
{
    (void)routine, (void)argument, (void)n;
    assert(!"an argument of LAPACK");
}

static void invert(struct forecast_model *m)
{
    int p = m->columns;
    memset(m->inverse, 0, sizeof *m->inverse * (size_t)p * (size_t)p);
    for (int j = 0; j < p; j++) {
        double *x = m->inverse + (size_t)j * p;
        x[j] = 1;
        for (int k = j; k < p; k++) {
            const double *l = m->factor + (size_t)k * p;
            double v = x[k] /= l[k];
            for (int i = k + 1; i < p; i++)
                x[i] -= l[i] * v;
        }
    }
}

// beta and the inverse factor for the ridges as they are. False: they are too small for
// this matrix.
static bool solve(struct forecast_model *m)
{
    lapack_int p = m->columns, one = 1, info;
    memcpy(m->factor, m->gram, sizeof *m->gram * (size_t)p * (size_t)p);
    for (int b = 0; b < BLOCKS; b++)
        for (int j = m->first[b]; j < m->first[b + 1]; j++)
            m->factor[j * p + j] += m->ridge[b];
    LAPACK_dpotrf2("L", &p, m->factor, &p, &info);
    if (info != 0) return false;
    memcpy(m->beta, m->xy, sizeof m->beta);
    LAPACK_dpotrs("L", &p, &one, m->factor, &p, m->beta, &p, &info);
    assert(info == 0);
    invert(m);
    return true;
}

static void solve_anyhow(struct forecast_model *m)
{
    while (!solve(m))
        for (int b = 0; b < BLOCKS; b++)
            m->ridge[b] *= 100;
}

// The trace of the inverse over a block, times its ridge: what the prior decides there, not
// the data.
static double by_prior(const struct forecast_model *m, enum block b)
{
    double sum = 0;
    for (int j = m->first[b]; j < m->first[b + 1]; j++) {
        const double *column = m->inverse + (size_t)j * m->columns;
        for (int i = j; i < m->columns; i++)
            sum += column[i] * column[i];
    }
    return sum * m->ridge[b];
}

// One round of the evidence. Returns by which factor, as a logarithm, a ridge has changed
// at most.
static double adapt(struct forecast_model *m, const struct fit *f)
{
    double size[BLOCKS] = { 0 }, known[BLOCKS], all = 0, rss = f->yy, most = 0;
    for (int b = 0; b < BLOCKS; b++) {
        known[b] = width_of(m, b) - by_prior(m, b);
        if (known[b] < 1e-9) known[b] = 1e-9;
        all += known[b];
        for (int j = m->first[b]; j < m->first[b + 1]; j++) {
            size[b] += m->beta[j] * m->beta[j];
            rss -= m->beta[j] * m->xy[j];
        }
        rss -= m->ridge[b] * size[b];
    }
    if (rss < 0) rss = 0;
    double left = m->n - all > 0 ? m->n - all : 0;
    m->noise = (rss + f->jumps) / (left + 1);
    if (m->noise < NOISE_MIN) m->noise = NOISE_MIN;
    for (int b = BENDS; b < BLOCKS; b++) {
        if (!width_of(m, b)) continue;
        double ridge = size[b] > 0 ? known[b] * m->noise / size[b] : RIDGE_MAX;
        ridge = fmin(fmax(ridge, RIDGE_MIN), RIDGE_MAX);
        most = fmax(most, fabs(log(ridge / m->ridge[b])));
        m->ridge[b] = ridge;
    }
    return most;
}

err_t forecast_model_fit(struct forecast_model *m, const int64_t *day, const double *y,
                         uint32_t n, struct err *e)
{
    assert(n >= 2 && n <= FORECAST_POINTS_MAX);
    TRY(design(m, day, n, e));
    struct fit f = take_values(m, y);
    for (int b = 0; b < BLOCKS; b++)
        m->ridge[b] = 1;
    m->ridge[BASE] = RIDGE_MIN;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        solve_anyhow(m);
        if (adapt(m, &f) < 0.05) break;
    }
    solve_anyhow(m);
    return ERR_OK;
}

// ---- the future ----

// Bends to come are as many and as large as those that were fitted.
static double of_bends(const struct forecast_model *m, double t)
{
    int bends = width_of(m, BENDS);
    if (bends == 0 || t <= 1) return 0;
    double apart = 0.8 / (bends + 1), beyond = t - 1;
    return m->noise / m->ridge[BENDS] * beyond * beyond * beyond / (3 * apart);
}

bool forecast_model_at(struct forecast_model *m, int64_t day, struct forecast_point *out)
{
    double x[COLUMNS_MAX], v[COLUMNS_MAX] = { 0 }, mean = 0, unknown = 0;
    int p = m->columns;
    put_row(m, day, x);
    for (int j = 0; j < p; j++) { // v: the inverse factor times x
        const double *column = m->inverse + (size_t)j * p;
        mean += x[j] * m->beta[j];
        for (int i = j; i < p && x[j] != 0; i++)
            v[i] += column[i] * x[j];
    }
    for (int i = 0; i < p; i++)
        unknown += v[i] * v[i];
    double spread = m->z * sqrt(m->noise * (1 + unknown) + of_bends(m, time_of(m, day)));
    out->yhat = m->centre + m->unit * mean;
    out->lower = m->centre + m->unit * (mean - spread);
    out->upper = m->centre + m->unit * (mean + spread);
    return isfinite(out->yhat) && isfinite(out->lower) && isfinite(out->upper);
}

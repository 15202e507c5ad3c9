// gen_wide - a wide CSV that looks like a year of flights: 14 integer, 3 real and 4 text
// columns, with blanks, NA, and quoted fields that hold commas, quotes and line ends.
//
//   gen_wide [ROWS [SEED]] > wide.csv
//
// The same arguments give the same bytes. What a correct loader must find is said in one
// line of JSON on stderr: rows, the sums of columns, the rows that have no delay.

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 2611892, BLOCK = 1 << 20, ROW_MAX = 512 };

static const char HEADER[] =
    "Year,Month,DayOfMonth,DayOfWeek,DepTime,CRSDepTime,ArrTime,CRSArrTime,UniqueCarrier,"
    "FlightNum,TailNum,ActualElapsedTime,CRSElapsedTime,AirTime,ArrDelay,DepDelay,Origin,"
    "Dest,Distance,TaxiIn,TaxiOut\n";

static const char CARRIERS[][3] = { "AA", "AQ", "AS", "B6", "CO", "DL", "EV",
                                    "F9", "FL", "HA", "MQ", "NW", "OH", "OO",
                                    "UA", "US", "WN", "XE", "YV", "9E" };
static const char AIRPORTS[][4] = {
    "ABQ", "ATL", "AUS", "BNA", "BOS", "BUR", "BWI", "CLE", "CLT", "CVG",
    "DCA", "DEN", "DFW", "DTW", "EWR", "FLL", "HNL", "IAD", "IAH", "JFK",
    "LAS", "LAX", "LGA", "MCI", "MCO", "MDW", "MEM", "MIA", "MSP", "OAK",
    "ORD", "PDX", "PHL", "PHX", "RDU", "SAN", "SEA", "SFO", "SLC", "STL",
};
#define N(array) (sizeof(array) / sizeof(array)[0])

struct sums {
    uint64_t rows, without_delay;
    int64_t distance, delay;
};

// ---- numbers (splitmix64)

static uint64_t state;

static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static int between(int low, int high)
{
    return low + (int)((next() >> 32) * (uint64_t)(high - low + 1) >> 32);
}

static bool one_in(int n)
{
    return between(1, n) == 1;
}

// ---- fields, each followed by its comma

static char *put_text(char *p, const char *text)
{
    p = stpcpy(p, text);
    *p++ = ',';
    return p;
}

static char *put_int(char *p, int v)
{
    char digits[12];
    int n = 0;
    if (v < 0) *p++ = '-';
    for (unsigned u = (unsigned)abs(v); n == 0 || u; u /= 10)
        digits[n++] = (char)('0' + u % 10);
    while (n)
        *p++ = digits[--n];
    *p++ = ',';
    return p;
}

static char *put_real(char *p, int v) // minutes, written with a decimal as many tools do
{
    p = put_int(p, v) - 1;
    return stpcpy(p, ".0,");
}

static char *put_clock(char *p, int minute)
{
    minute = (minute + 2880) % 1440;
    return put_int(p, minute / 60 * 100 + minute % 60);
}

// Some airports are written in the ways that break careless readers.
static char *put_origin(char *p, const char *code)
{
    switch (between(0, 1999)) {
    case 0: return p + sprintf(p, "\"%s\nTerminal %d\",", code, between(1, 4));
    case 1: return p + sprintf(p, "\"%s \"\"Intl\"\"\",", code);
    case 2: return p + sprintf(p, "\"%s,\r\n\"\"B\"\"\",", code);
    case 3:
    case 4:
    case 5:
    case 6: return p + sprintf(p, "\"%s, USA\",", code);
    default: return put_text(p, code);
    }
}

static char *put_tail(char *p)
{
    *p++ = 'N';
    p = put_int(p, between(100, 999)) - 1;
    *p++ = (char)('A' + between(0, 25));
    *p++ = (char)('A' + between(0, 25));
    *p++ = ',';
    return p;
}

// ---- a row

struct flight {
    int departs, takes, air, taxi_in, taxi_out, late_out, late_in, planned, distance;
};

static struct flight draw_flight(void)
{
    struct flight f = { .departs = between(5 * 60, 24 * 60 - 1),
                        .taxi_in = between(2, 15),
                        .taxi_out = between(5, 35),
                        .distance = between(60, 2700) };
    f.air = f.distance / 8 + between(0, 33);
    f.takes = f.taxi_out + f.air + f.taxi_in;
    f.planned = f.takes + between(-15, 20);
    f.late_out = one_in(3) ? between(0, 150) : between(-9, 4);
    f.late_in = f.late_out + f.takes - f.planned;
    return f;
}

// What is not known of a cancelled flight is blank; of a lost record, NA.
static char *put_row(char *p, uint64_t i, uint64_t n, struct sums *s)
{
    static const int LENGTH[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int day = (int)(i * 366 / n), weekday = (day + 1) % 7 + 1, month = 0;
    while (day >= LENGTH[month])
        day -= LENGTH[month++];
    struct flight f = draw_flight();
    bool cancelled = one_in(50), lost = !cancelled && one_in(300);
    const char *gap = cancelled ? "" : lost ? "NA" : NULL;

#define KNOWN(put, v) (p = gap ? put_text(p, gap) : put(p, v))
    p = put_int(p, 2008);
    p = put_int(p, month + 1);
    p = put_int(p, day + 1);
    p = put_int(p, weekday);
    KNOWN(put_clock, f.departs + f.late_out);
    p = put_clock(p, f.departs);
    KNOWN(put_clock, f.departs + f.late_out + f.takes);
    p = put_clock(p, f.departs + f.planned);
    p = put_text(p, CARRIERS[between(0, N(CARRIERS) - 1)]);
    p = put_int(p, between(1, 7800));
    p = cancelled ? put_text(p, "") : put_tail(p);
    KNOWN(put_int, f.takes);
    p = put_int(p, f.planned);
    KNOWN(put_real, f.air);
    KNOWN(put_real, f.late_in);
    KNOWN(put_real, f.late_out);
    p = put_origin(p, AIRPORTS[between(0, N(AIRPORTS) - 1)]);
    p = put_text(p, AIRPORTS[between(0, N(AIRPORTS) - 1)]);
    p = put_int(p, f.distance);
    KNOWN(put_int, f.taxi_in);
    KNOWN(put_int, f.taxi_out);
    p[-1] = '\n';

    s->rows++;
    s->distance += f.distance;
    s->without_delay += gap != NULL;
    s->delay += gap ? 0 : f.late_in;
    return p;
}

int main(int argc, char **argv)
{
    static char block[BLOCK + ROW_MAX];
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : ROWS;
    struct sums s = { 0 };
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    char *p = stpcpy(block, HEADER);
    for (uint64_t i = 0; i < n; i++) {
        p = put_row(p, i, n, &s);
        if (p - block < BLOCK && i + 1 < n) continue;
        if (fwrite(block, 1, (size_t)(p - block), stdout) != (size_t)(p - block)) break;
        p = block;
    }
    if (fflush(stdout) || ferror(stdout)) {
        perror("gen_wide");
        return 1;
    }
    fprintf(stderr,
            "{\"rows\":%" PRIu64 ",\"Distance\":%" PRId64 ",\"ArrDelay\":%" PRId64
            ",\"without_delay\":%" PRIu64 "}\n",
            s.rows, s.distance, s.delay, s.without_delay);
    return 0;
}

/* protocol.pml - the protocol of docs/PROTOCOL.md, its scheduler and its ledger, for spin.
 *
 * Two records, of which the second kills the runner that touches it.
 * Three ranges of them may be handed out:
 *
 *     0 = {0,1}     1 = {0}     2 = {1}, the guilty one
 *
 * A coordinator may cut them as range 0, or as 1 and 2. Range 0 is split into 1 and 2 when it
 * failed alone. Whatever is in `rows`, `ledger`, `rejected`, `epoch` survives
 * everything; the rest dies with its process.
 *
 * Faults have budgets (the macros below): coordinators that are killed between any two steps, a
 * second coordinator that believes it is the only one, workers that are killed, messages that
 * are lost, doubled, or overtake each other, leases that expire although all is well.
 *
 * Mutants, each the removal of a rule (docs/PROTOCOL.md); every one must be found (tests/model/run):
 *   SPLIT_TXN   rows and ledger row in two transactions                             (1)
 *   MEM_DEDUP   memory decides what is a duplicate, not the ledger                  (1)
 *   LOAD_FIRST  the ledger is read before the epoch is taken                        (1)
 *   NO_FENCE    the epoch is not asked for in the transaction                       (1)
 *   NO_LEASE    the outcome of an attempt is taken for that of a later one     (2, 8)
 *   NO_RESET    an expired lease frees its worker at once                           (7)
 *   BLAME_ALL   a failure in company counts                                         (5, 6)
 *   BLAME_LOSS  an expired lease counts as a failure                                (5)
 *   NO_OVERLAP  a range is committed although parts of it are                       (with NO_FENCE)
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef ZOMBIE
#define ZOMBIE 0
#endif
#ifndef LOSS
#define LOSS 0
#endif
#ifndef DUP
#define DUP 0
#endif
#ifndef OVERTAKE
#define OVERTAKE 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef EXPIRE
#define EXPIRE 0
#endif
#ifndef SPECULATE
#define SPECULATE 0
#endif
#ifndef RETRIES
#define RETRIES 1 /* failures alone that one record may have before it is rejected */
#endif
#define NW     2
#define RANGES 3
#ifdef CLEAN /* no guilty record: any range may have a result */
#define BAD(c) false
#else
#define BAD(c) (c == 0 || c == 2)
#endif
#define BIT(c)  (1 << (c))

/* ---- what survives ---- */
byte rows[2];
bool rejected;
byte ledger[RANGES]; /* NONE, IN, SPLIT, OUT (rejected) */
#define NONE  0
#define IN    1
#define SPLIT 2
#define OUT   3
byte epoch, tries[RANGES];
#if DUP || OVERTAKE
#define NUMBER(c) tries[c]++
#else /* no message is late enough to be taken for another: fewer states */
#define NUMBER(c) tries[c] = 1
#endif
bool complete;

/* ---- on the way ---- */
mtype = { ASSIGN, RESET, WELCOME, CANCEL, HELLO, RESULT, FAIL };
chan down[NW] = [3] of { mtype, byte, byte, byte }; /* range, session, attempt */
chan up = [2] of { mtype, byte, byte, byte, byte }; /* range, worker, session, attempt */

/* ---- faults left, and what the faults did: an expiry needs a reason or a budget ---- */
byte crashes = CRASH, zombies = ZOMBIE, losses = LOSS, dups = DUP, overtakes = OVERTAKE,
     deaths = DEATHS, expiries = EXPIRE, seconds = SPECULATE;
bool broken[NW]; /* something of this worker was lost: its leases will expire */
byte next_sid = 1, alive;

/* ---- a worker ---- */
byte sid[NW];  /* its session, 0: none */
bool said[NW]; /* HELLO is on its way */
byte has[NW];  /* ranges that its runner works on, as bits */
byte as[RANGES * NW]; /* and as which attempt */
byte held[NW]; /* finished results that are not COMMITTED */
bool stale[NW]; /* its coordinator is gone; it will notice the silence */

inline worker_dies(w) {
    as[w] = 0; as[2 + w] = 0; as[4 + w] = 0;
    do :: nempty(down[w]) -> down[w]?_,_,_,_ :: empty(down[w]) -> break od;
    has[w] = 0; held[w] = 0; sid[w] = 0; said[w] = false; stale[w] = false; broken[w] = true
}

/* A finished range: kept until COMMITTED. */
#define WORKS(c) \
  :: atomic { (has[w] & BIT(c)) && !BAD(c) && nfull(up) -> \
       has[w] = has[w] & ~BIT(c); held[w] = held[w] | BIT(c); up!RESULT,c,w,sid[w],as[2 * (c) + w]; as[2 * (c) + w] = 0 }

/* The runner dies: all that it worked on failed. */
#define FAILS(c) \
  if :: has[w] & BIT(c) -> up!FAIL,c,w,sid[w],as[2 * (c) + w]; as[2 * (c) + w] = 0 :: else fi

#define AGAIN(c) \
  :: atomic { (again & BIT(c)) && nfull(up) -> again = again & ~BIT(c); up!RESULT,c,w,0,0 }

proctype Worker(byte w) {
    byte c, k, a, again; mtype t;
end_w:
    do
    :: atomic { down[w]?t,c,k,a ->
         if
         :: t == ASSIGN && k == sid[w] -> has[w] = has[w] | BIT(c); as[2 * c + w] = a
         :: t == CANCEL && k == sid[w] -> has[w] = has[w] & ~BIT(c)
         :: t == RESET && k == sid[w] -> has[w] = 0; sid[w] = 0; said[w] = false
         :: t == WELCOME -> has[w] = 0; sid[w] = k; again = held[w]; said[w] = false
         :: else
         fi; c = 0; k = 0; a = 0; t = 0 }
    :: atomic { sid[w] == 0 && !said[w] && nfull(up) -> said[w] = true; up!HELLO,0,w,0,0 }
    :: atomic { stale[w] && sid[w] -> stale[w] = false; has[w] = 0; sid[w] = 0; said[w] = false }
    WORKS(1)
#ifdef CLEAN
    WORKS(0) WORKS(2) AGAIN(0) AGAIN(2)
#else
    :: atomic { (has[w] & (BIT(0) | BIT(2))) && empty(up) ->
         FAILS(0); FAILS(1); FAILS(2); has[w] = 0 }
#endif
    AGAIN(1)
    :: atomic { deaths > 0 && !complete -> deaths--; worker_dies(w); again = 0 }
    od
}

proctype Net() {
    mtype t; byte a, b, d, e;
end_n:
    do
    :: atomic { losses > 0 && nempty(up) -> losses--; up?t,a,b,d,e; broken[b] = true;
         if :: t == HELLO -> said[b] = false :: else fi; t = 0; a = 0; b = 0; d = 0; e = 0 }
    :: atomic { losses > 0 && nempty(down[0]) -> losses--; down[0]?t,a,d,e; broken[0] = true;
         if :: t == WELCOME -> said[0] = false :: else fi; t = 0; a = 0; d = 0; e = 0 }
    :: atomic { losses > 0 && nempty(down[1]) -> losses--; down[1]?t,a,d,e; broken[1] = true;
         if :: t == WELCOME -> said[1] = false :: else fi; t = 0; a = 0; d = 0; e = 0 }
    :: atomic { dups > 0 && nempty(up) && nfull(up) -> dups--; up?<t,a,b,d,e>; up!t,a,b,d,e;
         t = 0; a = 0; b = 0; d = 0; e = 0 }
    :: atomic { overtakes > 0 && len(up) > 1 -> overtakes--; up?t,a,b,d,e; up!t,a,b,d,e;
         t = 0; a = 0; b = 0; d = 0; e = 0 }
    od
}

/* ---- the warehouse ---- */
#ifdef NO_FENCE
#define MINE true
#else
#define MINE (epoch == my)
#endif
#ifdef NO_OVERLAP
#define MAY_COMMIT(c) (ledger[c] == NONE)
#define MAY_SPLIT true
#else
#define MAY_COMMIT(c) (ledger[c] == NONE && \
    (c != 0 || (ledger[1] == NONE && ledger[2] == NONE)) && \
    ((c != 1 && c != 2) || ledger[0] != IN))
#define MAY_SPLIT (ledger[0] == NONE && ledger[1] == NONE && ledger[2] == NONE)
#endif
#define COVERED(c) (ledger[c] == IN || ledger[c] == OUT)
#define ALL_COVERED \
    (COVERED(0) || (COVERED(1) && COVERED(2)))

inline add_rows(c) {
    assert(!complete);
    if :: c == 0 || c == 1 -> rows[0]++; assert(rows[0] <= 1) :: else fi;
    if :: c == 0 || c == 2 -> rows[1]++; assert(rows[1] <= 1 && !rejected) :: else fi
}

/* ---- a coordinator ---- */
/* state of a range here: */
#define UNKNOWN  0
#define PENDING  1 /* or leased: to be run */
#define RECEIVED 2
#define GONE     3 /* committed, split or rejected */

inline over(c) { st[c] = GONE; alone[c] = false; suspect[c] = false; from[c] = 0 }
/* Workers talk to the newest; an older one that lives on talks to the warehouse alone. */
#define HEARD (my == epoch)
#define LEASED(c) (lease[2 * (c)] || lease[2 * (c) + 1])
#define HOLDS(w, c) lease[2 * (c) + (w)]
#define LOAD_OF(w) ((HOLDS(w, 0) != 0) + (HOLDS(w, 1) != 0) + (HOLDS(w, 2) != 0))
#define ROOM (len(down[0]) <= 1 && len(down[1]) <= 1) /* for any answer */
#define ALONE_ON(w) ((HOLDS(w, 0) && alone[0]) || (HOLDS(w, 1) && alone[1]) || \
                     (HOLDS(w, 2) && alone[2]))

/* Ordinary ranges two at a time; a suspect on an empty worker, and nothing beside it. */
#define DISPATCH(c, w) \
  :: atomic { HEARD && st[c] == PENDING && !LEASED(c) && sess[w] && !resetting[w] && \
              nfull(down[w]) && !ALONE_ON(w) && \
              (LOAD_OF(w) == 0 || (LOAD_OF(w) == 1 && !suspect[c])) -> \
       NUMBER(c); HOLDS(w, c) = tries[c]; alone[c] = suspect[c]; \
       down[w]!ASSIGN,c,sess[w],tries[c] }
#define SECOND(c, w) \
  :: atomic { HEARD && seconds > 0 && st[c] == PENDING && HOLDS(1 - w, c) && !HOLDS(w, c) && \
              !suspect[c] && sess[w] && !resetting[w] && nfull(down[w]) && \
              LOAD_OF(w) < 2 && !ALONE_ON(w) -> \
       seconds--; NUMBER(c); HOLDS(w, c) = tries[c]; \
       down[w]!ASSIGN,c,sess[w],tries[c] }

inline forget_session(w) {
    HOLDS(w, 0) = 0; HOLDS(w, 1) = 0; HOLDS(w, 2) = 0
}

#ifdef BLAME_LOSS
#define EXPIRED_BLAMES(c, w) \
    if :: HOLDS(w, c) && alone[c] && st[c] == PENDING -> failed = c + 1 \
       :: HOLDS(w, c) && !alone[c] -> suspect[c] = true :: else fi
#else
#define EXPIRED_BLAMES(c, w) skip
#endif

/* A lease expires: all that the session has goes back, and it must come as another one. */
#define LEASE_EXPIRES(w) \
  :: atomic { HEARD && sess[w] && !resetting[w] && LOAD_OF(w) > 0 && nfull(down[w]) && failed == 0 && \
              (expiries > 0 || broken[w]) -> \
       if :: broken[w] -> broken[w] = false :: else -> expiries-- fi; \
       EXPIRED_BLAMES(0, w); EXPIRED_BLAMES(1, w); EXPIRED_BLAMES(2, w); \
       forget_session(w); RESET_SESSION(w) }
#ifdef NO_RESET
#define RESET_SESSION(w) skip
#else
#define RESET_SESSION(w) resetting[w] = true; down[w]!RESET,0,sess[w],0
#endif
/* It has not heard: it is told again. */
#define RESET_AGAIN(w) \
  :: atomic { HEARD && resetting[w] && broken[w] && nfull(down[w]) -> \
       broken[w] = false; down[w]!RESET,0,sess[w],0 }
/* It is silent, but has nothing to lose. */
#define SILENT(w) \
  :: atomic { HEARD && sess[w] && !resetting[w] && LOAD_OF(w) == 0 && broken[w] && nfull(down[w]) -> \
       broken[w] = false; resetting[w] = true; down[w]!RESET,0,sess[w],0 }
/* Ranges that lie RECEIVED are committed one by one, the rows with their ledger row. */
/* COMMITTED frees the worker's copy; when it is lost, the copy stays, and comes again. */
#define FREE(w, c) \
    if :: losses > 0 -> losses-- :: held[w] = held[w] & ~BIT(c) fi
#ifdef SPLIT_TXN
#define COMMIT(c) \
  :: atomic { st[c] == RECEIVED && MINE && MAY_COMMIT(c) -> add_rows(c) }; \
     if :: crashes > 0 -> crashes--; goto dead :: true fi; \
     atomic { ledger[c] = IN; over(c) }
#else
#ifdef MEM_DEDUP
#define DO_COMMIT(c) add_rows(c); ledger[c] = IN
#else
#define DO_COMMIT(c) if :: MAY_COMMIT(c) -> add_rows(c); ledger[c] = IN :: else fi
#endif
#define COMMIT(c) \
  :: atomic { st[c] == RECEIVED && MINE -> \
       DO_COMMIT(c); FREE(from[c], c); over(c) }
#endif

/* What an earlier coordinator left, in the order that makes it safe. */
#define READ(c) \
    st[c] = (COVERED(c) || ledger[c] == SPLIT -> GONE : UNKNOWN)

inline read_ledger() {
    READ(0); READ(1); READ(2);
    if
    :: ledger[0] == NONE && ledger[1] == NONE && ledger[2] == NONE -> /* cut as it likes */
       if :: st[0] = PENDING :: st[1] = PENDING; st[2] = PENDING fi
    :: ledger[0] != IN && (ledger[0] != NONE || ledger[1] != NONE || ledger[2] != NONE) ->
       if :: st[1] == UNKNOWN -> st[1] = PENDING :: else fi;
       if :: st[2] == UNKNOWN -> st[2] = PENDING :: else fi
    :: ledger[0] == IN
    fi
}

#ifdef BLAME_ALL
#define WAS_ALONE true
#else
#define WAS_ALONE alone[c]
#endif
#ifdef NO_LEASE
#define ITS_LEASE (HOLDS(w, c))
#else
#define ITS_LEASE (a && HOLDS(w, c) == a && sess[w] == k)
#endif

/* Memory dies with its process. */
inline clear() {
    my = 0; c = 0; w = 0; k = 0; a = 0; failed = 0;
    over(0); over(1); over(2); st[0] = UNKNOWN; st[1] = UNKNOWN; st[2] = UNKNOWN;
    blame[0] = 0; blame[1] = 0; blame[2] = 0;
    forget_session(0); forget_session(1);
    sess[0] = 0; sess[1] = 0; resetting[0] = false; resetting[1] = false
}

inline take_epoch() {
    epoch++; my = epoch; /* and workers will miss the one before */
    if :: sid[0] || said[0] -> stale[0] = true; broken[0] = true :: else fi;
    if :: sid[1] || said[1] -> stale[1] = true; broken[1] = true :: else fi
}

proctype Coordinator() {
    byte my, c, w, k, a, failed; /* failed: range + 1 that failed alone and awaits its verdict */
    byte st[RANGES]; byte lease[2 * RANGES]; bool alone[RANGES]; bool suspect[RANGES];
    byte blame[RANGES]; byte from[RANGES];
    byte sess[NW]; bool resetting[NW];
start:
#ifdef LOAD_FIRST
    atomic { read_ledger() }
    atomic { take_epoch() }
#else
    atomic { take_epoch() }
    if :: crashes > 0 -> crashes--; goto dead :: true fi;
    atomic { read_ledger() }
#endif
    do
    DISPATCH(0, 0) DISPATCH(1, 0) DISPATCH(2, 0)
    DISPATCH(0, 1) DISPATCH(1, 1) DISPATCH(2, 1)
    SECOND(0, 0) SECOND(1, 0) SECOND(2, 0)
    SECOND(0, 1) SECOND(1, 1) SECOND(2, 1)
    LEASE_EXPIRES(0) LEASE_EXPIRES(1)
    RESET_AGAIN(0) RESET_AGAIN(1)
    SILENT(0) SILENT(1)
    COMMIT(1)
#ifdef CLEAN
    COMMIT(0) COMMIT(2)
#endif

    :: atomic { HEARD && failed == 0 && up?[HELLO,_,_,_,_] && ROOM ->
         up?HELLO,_,w,_,_;  /* a new session; what the old one had goes back */
         forget_session(w); resetting[w] = false; broken[w] = false; stale[w] = false;
         sess[w] = next_sid; next_sid++; down[w]!WELCOME,0,sess[w],0; c = 0; w = 0; k = 0; a = 0 }

    :: atomic { HEARD && up?[RESULT,_,_,_,_] && ROOM ->
         up?RESULT,c,w,k,a; /* whichever attempt, session and epoch it comes from */
         if :: ITS_LEASE -> HOLDS(w, c) = 0 :: else fi;
         if
         :: st[c] == PENDING -> st[c] = RECEIVED; from[c] = w;
              if :: HOLDS(1 - w, c) -> down[1 - w]!CANCEL,c,sess[1 - w],0 :: else fi;
              HOLDS(1 - w, c) = 0
         :: st[c] == GONE && COVERED(c) -> FREE(w, c)
         :: else
         fi;
         if :: sess[w] == 0 -> down[w]!RESET,0,k,0 :: else fi;
         c = 0; w = 0; k = 0; a = 0 }

    :: atomic { HEARD && failed == 0 && up?[FAIL,_,_,_,_] && ROOM ->
         up?FAIL,c,w,k,a;
         if
         :: ITS_LEASE -> HOLDS(w, c) = 0;
              if :: st[c] == PENDING && WAS_ALONE -> failed = c + 1
                 :: st[c] == PENDING && !WAS_ALONE -> suspect[c] = true
                 :: else fi
         :: else -> if :: sess[w] == 0 -> down[w]!RESET,0,k,0 :: else fi
         fi; c = 0; w = 0; k = 0; a = 0 }

    :: atomic { failed > 1 && blame[failed - 1] + 1 < RETRIES ->
         blame[failed - 1]++; suspect[failed - 1] = true; failed = 0 }
    :: atomic { failed > 1 && blame[failed - 1] + 1 >= RETRIES && MINE -> /* REJECT */
         c = failed - 1; failed = 0;
         if
         :: MAY_COMMIT(c) -> assert(c == 2 && !complete); ledger[c] = OUT; rejected = true
         :: else
         fi; over(c); c = 0 }
    :: atomic { failed == 1 && MINE -> /* SPLIT is durable before its parts exist */
         if :: MAY_SPLIT -> ledger[0] = SPLIT :: else fi; over(0); failed = 0 };
       if :: crashes > 0 -> crashes--; goto dead :: true fi;
       atomic {
         if :: st[1] == UNKNOWN && !COVERED(1) -> st[1] = PENDING; suspect[1] = true :: else fi;
         if :: st[2] == UNKNOWN && !COVERED(2) -> st[2] = PENDING; suspect[2] = true :: else fi }

    :: atomic { ALL_COVERED && MINE && !complete -> /* the proof, in the last transaction */
         assert(rows[0] == 1 && rows[1] + rejected == 1 && (BAD(2) == rejected));
         complete = true }
    :: atomic { complete -> goto fin }
    :: atomic { crashes > 0 && !complete -> crashes--; goto dead }
    :: atomic { epoch != my -> goto dead } /* fenced: it ends */
    od;
dead:
    atomic {
        alive--; clear();
        if :: alive == 0 && !complete -> alive++; goto start /* the next one */
           :: else fi }
fin: skip
}

init {
    atomic { run Worker(0); run Worker(1); run Net(); alive = 1; run Coordinator() };
end_i:
    atomic { zombies > 0 && !complete -> zombies--; alive++; run Coordinator() }
}

#ifdef LIVENESS
ltl ends { <> complete }
#endif

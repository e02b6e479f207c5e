/* The cache as it is built, over as much of PostgreSQL as it relies on: transaction ids, snapshots, versions of rows,
 * invalidation messages. Every hit is compared with what the query would give under the caller's snapshot.
 *
 * A snapshot is (xmin, vis): the oldest running id, or the next one when none runs; and the ids that had committed and
 * were no longer running when it was taken. A row's version is named by the transaction that wrote it. The definition
 * change attaches a partition which has a row for every key: an answer has the partition's part or has it not.
 *
 * What is one step here is one step there: a look at a bucket (its version makes it one: see arena.pml), a change under
 * the stripe's lock. The stamp and the floor are read by themselves, before.
 *
 * Sizes: WRITERS, READERS, CALLS of each reader. Scenarios: DEFINE, PREPARE, CRASH, EVICT, SHARED (one bucket).
 * Mutations, each of which must fail: M_...                                                                        */
#ifndef CALLS
#define CALLS 2
#endif
#define KEYS 2
#define B(x) (1<<(x))
#define UNSET 99
#ifdef SHARED
#define SLOT(k) 0
#else
#define SLOT(k) (k)
#endif

byte next = 2;                    /* the next transaction id */
int running, committed = 2;       /* masks: who runs; whose work is committed and whose ids no longer run */
byte newest[KEYS], before[KEYS];  /* the last two versions of each key's row */
byte owner[KEYS];                 /* who holds the row's lock */
byte prepared;

bool entry[KEYS]; byte value[KEYS]; bool part[KEYS]; byte entry_stamp[KEYS];
byte writer[KEYS];                /* the newest writer, per bucket */
byte floor_ = 0, stamp = 1;
bool attached, told, definition_lock;
bool crashed[4];
byte t;                           /* for one step's use */

/* The version that a mask of ids sees. */
#define SEEN(k, mask) ((B(newest[k]) & (mask)) -> newest[k] : before[k])

inline oldest(result) {
  t = 2;
  do :: t < next && !(running & B(t)) -> t++ :: else -> break od;
  result = t; t = 0
}
inline first_use() { if :: floor_ == UNSET ->
#ifdef M_NO_FIRST_FLOOR
  floor_ = 0
#else
  floor_ = next - 1
#endif
  :: else fi }

#if defined(M_EQUAL)
#define BELOW(x, xmin) ((x) <= (xmin))
#else
#define BELOW(x, xmin) ((x) < (xmin))
#endif

#ifdef M_NO_HIT_TEST
#define HIT_TEST true
#else
#define HIT_TEST BELOW(writer[SLOT(k)], xmin) && BELOW(my_floor, xmin)
#endif
#ifdef M_NO_INSTALL_TEST
#define INSTALL_TEST true
#else
#define INSTALL_TEST BELOW(writer[SLOT(k)], xmin) && BELOW(floor_, xmin)
#endif

/* A call of the function for key k under (xmin, vis); mine: this transaction has written the table. */
inline call() {
  d_step { know = told; first_use() };          /* invalidations are accepted */
  if
#ifndef M_NO_OWN_WRITES
  :: mine -> skip                               /* reads the table, installs nothing */
#endif
  :: else ->
     my_stamp = stamp;
     my_floor = floor_;
     d_step {                                   /* the bucket */
       hit = entry[k] && entry_stamp[k] == my_stamp && HIT_TEST;
       if :: hit -> assert(value[k] == SEEN(k, vis)); assert(part[k] == know || part[k] == told) :: else fi
     };
     if
     :: hit -> hit = 0
     :: else ->
        d_step {                                /* is the definition settled? then accept invalidations */
#if defined(M_NO_DEFINITION_LOCK)
          settled = 1; know = told
#else
          settled = !definition_lock;
          if :: settled -> know = told :: else fi
#endif
        };
        if
        :: settled ->
           my_stamp = stamp;
           d_step { read = SEEN(k, vis); read_part = know };
           d_step {                             /* install, under the stripe's lock */
             first_use();
             if
             :: stamp == my_stamp && INSTALL_TEST ->
                entry[k] = 1; value[k] = read; part[k] = read_part; entry_stamp[k] = my_stamp
             :: else
             fi;
             read = 0; read_part = 0
           }
        :: else
        fi
     fi
  fi;
  d_step { settled = 0; my_stamp = 0; my_floor = 0; know = 0 }
}

/* The trigger, AFTER the row was changed. */
inline record() {
  d_step {
    first_use();
#ifndef M_NO_RECORD
    if :: writer[SLOT(k)] < xid -> writer[SLOT(k)] = xid :: else fi;
#ifndef M_NO_DROP
    entry[k] = 0; value[k] = 0; part[k] = 0; entry_stamp[k] = 0
#endif
#endif
  }
}

proctype Reader(byte id) {
  byte k, xmin, calls, my_stamp, my_floor, read; int vis; bool hit, know, settled, read_part;
  bool mine = 0;
again: {
    do
    :: calls < CALLS ->
       atomic {
         calls++;
         if :: k = 0 :: k = 1 fi;
         if
         :: xmin == 0 || true -> d_step { oldest(xmin); vis = committed }   /* a snapshot of its own */
         :: xmin != 0 -> skip                                              /* the one that it had */
         fi
       };
       call()
    :: else -> break
    od
  }
#ifdef CRASH
  unless { atomic { crashed[id] -> crashed[id] = 0; d_step { xmin = 0; vis = 0; hit = 0; know = 0; settled = 0;
           read = 0; read_part = 0; my_stamp = 0; my_floor = 0 }; goto again } }
#endif
}

proctype Writer(byte id) {
  byte k, xid, xmin, my_stamp, my_floor, read; int vis; bool hit, know, settled, read_part, mine;
again: {
    /* One row, with a look from within the statement, and one after it. The flag is set before the first change. */
    atomic { if :: k = 0 :: k = 1 fi; owner[k] == 0; owner[k] = id; mine = 1; xid = next; next++; running = running | B(xid) };
    d_step { before[k] = SEEN(k, committed); newest[k] = xid };
    d_step { oldest(xmin); vis = committed | B(xid) };
    call();
#ifndef M_AT_COMMIT
    record();
#endif
    d_step { oldest(xmin); vis = committed | B(xid) };
    call();
    if
#ifdef M_AT_COMMIT
    :: d_step { running = running & ~B(xid); committed = committed | B(xid) }; record(); owner[k] = 0
#else
    :: d_step { running = running & ~B(xid); committed = committed | B(xid); owner[k] = 0 }
#endif
    :: d_step { running = running & ~B(xid); newest[k] = before[k]; owner[k] = 0 }        /* rolled back */
#ifdef PREPARE
    :: atomic { prepared == 0 -> prepared = xid };
#endif
    fi;
    d_step { mine = 0; xmin = 0; vis = 0; xid = 0; k = 0 }
  }
#ifdef CRASH
  unless { atomic { crashed[id] -> crashed[id] = 0; goto gone } }
gone: skip
#endif
}

#ifdef PREPARE
active proctype Coordinator() {   /* COMMIT PREPARED by another session */
end:
  d_step { prepared != 0 -> running = running & ~B(prepared); committed = committed | B(prepared);
           if :: newest[0] == prepared -> owner[0] = 0 :: else fi;
           if :: newest[1] == prepared -> owner[1] = 0 :: else fi }
}
#endif

#ifdef DEFINE
active proctype Definition() {    /* a transaction that attaches the partition, from its last moment before COMMIT on */
  byte xid, low;
#ifdef M_LATE_ID
  definition_lock = 1;
  d_step { first_use(); low = next - 1 };
  floor_ = (low > floor_ -> low : floor_);
  stamp++;
  d_step { xid = next; next++; running = running | B(xid) };
#else
  d_step { xid = next; next++; running = running | B(xid) };
  definition_lock = 1;
  d_step { first_use(); low = next - 1 };
#if defined(M_STAMP_FIRST)
  stamp++;
  floor_ = (low > floor_ -> low : floor_);
#elif defined(M_NO_FLOOR)
  stamp++;
#elif defined(M_NO_STAMP)
  floor_ = (low > floor_ -> low : floor_);
#else
  floor_ = (low > floor_ -> low : floor_);
  stamp++;
#endif
#endif
  d_step { running = running & ~B(xid); committed = committed | B(xid); attached = 1 };   /* visible */
#ifdef M_SHORT_LOCK
  definition_lock = 0;
#endif
  told = 1;                                                                               /* invalidations are sent */
  definition_lock = 0
}
#endif

#ifdef EVICT
active proctype Evictor() {
end:
  do
  :: d_step { entry[0] -> entry[0] = 0; value[0] = 0; part[0] = 0; entry_stamp[0] = 0
#ifdef M_WRITER_WITH_ENTRY
       ; writer[SLOT(0)] = 0
#endif
     }
  od
}
#endif

#ifdef CRASH
active proctype Crash() {         /* the server restarts: shared memory is new, whoever ran is rolled back, the prepared stay */
  d_step {
    running = (prepared != 0 && !(committed & B(prepared)) -> B(prepared) : 0);
    if :: newest[0] != prepared && !(committed & B(newest[0])) -> newest[0] = before[0] :: else fi;
    if :: newest[1] != prepared && !(committed & B(newest[1])) -> newest[1] = before[1] :: else fi;
    if :: prepared == 0 || newest[0] != prepared || (committed & B(prepared)) -> owner[0] = 0 :: else fi;
    if :: prepared == 0 || newest[1] != prepared || (committed & B(prepared)) -> owner[1] = 0 :: else fi;
    entry[0] = 0; entry[1] = 0; value[0] = 0; value[1] = 0; part[0] = 0; part[1] = 0;
    entry_stamp[0] = 0; entry_stamp[1] = 0; writer[0] = 0; writer[1] = 0; floor_ = UNSET; stamp = 1;
    crashed[0] = 1; crashed[1] = 1; crashed[2] = 1; crashed[3] = 1
  }
}
#endif

init {
  atomic {
    newest[0] = 1; newest[1] = 1; before[0] = 1; before[1] = 1;
#if READERS > 0
    run Reader(0);
#endif
#if READERS > 1
    run Reader(1);
#endif
#if WRITERS > 0
    run Writer(2);
#endif
#if WRITERS > 1
    run Writer(3);
#endif
  }
}

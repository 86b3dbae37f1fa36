#define _GNU_SOURCE
#include "bridge.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The watch is a plain C thread that looks every millisecond, while calls are
 * made, whether one of them takes long, and says so on a descriptor, once a call.
 * It is no goroutine because it is to cost next to nothing: a goroutine that
 * sleeps a millisecond at a time keeps several threads of the Go runtime busy. */

static gw_watched *watched;
static int nwatched, wake_fd;
static int64_t short_call;

/* Set while the watch sleeps for want of calls; gw_watch_wake is due then. */
static int parked;

enum {
  LOOKS_BEFORE_PARKING = 20,
  /* While no call has been long for so many looks, each look is CALM_FACTOR times
   * rarer: on a virtual machine a thousand wake-ups a second cost several percent
   * of a core, and an application of short calls has no use for them. */
  LOOKS_BEFORE_CALM = 250,
  CALM_FACTOR = 4,
};

int64_t gw_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void gw_poke(int fd) {
  uint64_t one = 1;
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

/* How many looks ago the last long call was found, at most LOOKS_BEFORE_CALM. */
static int calm;

/* look reports long calls, and returns whether a call runs that may become one. */
static int look(void) {
  int may = 0, found = 0;
  int64_t t = gw_now();
  for (gw_watched *w = watched; w < watched + nwatched; w++) {
    int64_t start = __atomic_load_n(w->start, __ATOMIC_SEQ_CST);
    if (!start || start == w->reported) continue;
    may = 1;
    if (t - start < short_call) continue;
    w->reported = start;
    found = 1;
    gw_poke(w->long_fd);
  }
  calm = found ? 0 : calm < LOOKS_BEFORE_CALM ? calm + 1 : calm;
  return may;
}

/* park sleeps until gw_watch_wake, unless a call has begun meanwhile. */
static void park(void) {
  __atomic_store_n(&parked, 1, __ATOMIC_SEQ_CST);
  int expected = 1;
  if (look() && __atomic_compare_exchange_n(&parked, &expected, 0, 0, __ATOMIC_SEQ_CST,
                                            __ATOMIC_SEQ_CST))
    return;
  uint64_t n;
  while (read(wake_fd, &n, sizeof n) < 0 && errno == EINTR) {
  }
}

static void *watch(void *arg) {
  (void)arg;
  const struct timespec often = {0, short_call}, rarely = {0, CALM_FACTOR * short_call};
  for (int quiet = 0;; quiet = look() ? 0 : quiet + 1) {
    if (quiet >= LOOKS_BEFORE_PARKING) {
      park();
      quiet = 0;
    }
    nanosleep(calm < LOOKS_BEFORE_CALM ? &often : &rarely, NULL);
  }
  return NULL;
}

/* gw_watch_new makes the list of what is watched, for the caller to fill; it lives
 * as long as the process. NULL: no memory. */
gw_watched *gw_watch_new(int n) {
  watched = calloc((size_t)n, sizeof *watched);
  nwatched = n;
  return watched;
}

/* gw_start_thread starts a thread of C code, which ends with the process or by itself.
 * Signals are for the other threads. */
int gw_start_thread(void *(*run)(void *), void *arg) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_t thread;
  int r = pthread_create(&thread, NULL, run, arg);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (r == 0) pthread_detach(thread);
  return r == 0 ? 0 : -1;
}

/* gw_watch_start starts the watch. It writes to a thread's long_fd when its call
 * has run for longer than ns nanoseconds, and sleeps on the blocking eventfd wake. */
int gw_watch_start(int64_t ns, int wake) {
  short_call = ns;
  wake_fd = wake;
  return gw_start_thread(watch, NULL);
}

/* gw_watch_wake is called after a call's start has been stored. It costs a load
 * while calls follow each other. */
void gw_watch_wake(void) {
  int expected = 1;
  if (__atomic_load_n(&parked, __ATOMIC_SEQ_CST) &&
      __atomic_compare_exchange_n(&parked, &expected, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    gw_poke(wake_fd);
}

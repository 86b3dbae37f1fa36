#define _GNU_SOURCE
#include "bridge.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A child the application forks has the Python side whole but only one thread:
 * the Go runtime's others are gone, so nothing of Go may run in it. The flag is
 * set in the child before fork returns and checked wherever C would enter Go. */
static volatile int forked;

/* Descriptors that must not live on in such a child: a forgotten listener keeps
 * the port open after the server is gone, a death pipe is harmless, an epoll
 * descriptor would share the parent's interest list. */
static int *guarded;
static int guarded_n;

/* The signal handler of the Go runtime: the same for every signal it catches.
 * It only queues the signal for a goroutine, of which the child has none, so
 * that SIGTERM, by which multiprocessing ends its processes, would do nothing. */
static void (*go_handler)(int, siginfo_t *, void *);

static void reset_signals(void) {
  for (int sig = 1; sig < NSIG; sig++) {
    struct sigaction sa;
    if (sigaction(sig, NULL, &sa) != 0 || sa.sa_sigaction != go_handler) continue;
    sa.sa_flags = 0;
    sa.sa_handler = sig == SIGPIPE ? SIG_IGN : SIG_DFL; /* as in any Python process */
    sigaction(sig, &sa, NULL);
  }
}

/* How many children the process has forked: gw_forks is read by Go. */
static uint32_t forks;

/* A signal that reaches the child before its handlers are set back would go the
 * way of Go and be lost: a pool that ends its processes as soon as it has started
 * them would wait for ever. So signals wait while a thread forks. */
static __thread sigset_t mask;

static void before(void) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
}

static void in_parent(void) {
  __atomic_store_n(&forks, forks + 1, __ATOMIC_RELAXED);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

uint32_t *gw_forks(void) { return &forks; }

static void in_child(void) {
  forked = 1;
  if (go_handler) reset_signals();
  for (int i = 0; i < guarded_n; i++) close(guarded[i]);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

int gw_fork_guard(const int *fds, int n) {
  guarded = malloc(sizeof *guarded * (size_t)(n > 0 ? n : 1));
  if (!guarded) return -1;
  if (n > 0) memcpy(guarded, fds, sizeof *guarded * (size_t)n);
  guarded_n = n;
  struct sigaction sa;
  /* Go preempts goroutines by SIGURG, so this one is its own. */
  if (sigaction(SIGURG, NULL, &sa) == 0 && (sa.sa_flags & SA_SIGINFO)) go_handler = sa.sa_sigaction;
  return pthread_atfork(before, in_parent, in_child);
}

int gw_in_forked_child(void) { return forked; }

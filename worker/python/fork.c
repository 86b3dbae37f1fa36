#define _GNU_SOURCE
#include "bridge.h"

#include <pthread.h>
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

static void in_child(void) {
  forked = 1;
  for (int i = 0; i < guarded_n; i++) close(guarded[i]);
}

int gw_fork_guard(const int *fds, int n) {
  guarded = malloc(sizeof *guarded * (size_t)(n > 0 ? n : 1));
  if (!guarded) return -1;
  if (n > 0) memcpy(guarded, fds, sizeof *guarded * (size_t)n);
  guarded_n = n;
  return pthread_atfork(NULL, NULL, in_child);
}

int gw_in_forked_child(void) { return forked; }

#define _GNU_SOURCE
#include "bridge.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Stacks of a process that goes on. Python's fault handler reads the frames of other
 * threads without the GIL, as it must when the process dies; from under a thread that
 * runs, they may go away meanwhile, and then it dies of that. So a thread of its own
 * takes the GIL first. Where it does not get that, some C code keeps it, no Python code
 * runs, and the fault handler may read what it likes:
 *
 *   gw_stacks                                  its thread
 *   ---------------------------------------    --------------------------------------
 *   waits                                      waits for the GIL
 *   is told                                <-  writes the stacks, gives the GIL back
 *   or has waited for long enough: the         if it gets the GIL now, keeps it until
 *   fault handler writes them                  they are written
 */

/* What the fault handler has registered for GW_STACKS_SIGNAL. */
static void (*without_gil)(int);

static int ending; /* Python is: its GIL is for nobody any more */

/* Threads that wait for the GIL. */
static int waiting;

struct dump {
  int state, refs;
  int out;  /* where the stacks go */
  int done; /* an eventfd */
  int ok;
};

/* OPEN -> WRITING, by the thread; or OPEN -> GIVEN_UP -> WRITTEN, without it. */
enum { OPEN, WRITING, GIVEN_UP, WRITTEN };

/* How long the thread keeps the GIL for the fault handler's sake, at most: 2 s. Who
 * reads the log may be stuck. */
enum { PAUSE_US = 1000, PAUSES = 2000 };

static int take(struct dump *d, int state) {
  int open = OPEN;
  return __atomic_compare_exchange_n(&d->state, &open, state, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void drop(struct dump *d) {
  if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_SEQ_CST) > 0) return;
  close(d->done);
  free(d);
}

/* write_stacks reports whether it wrote those of all threads, the calling one, which is
 * at work nowhere, among them. */
static int write_stacks(int fd) {
  PyObject *write = gw_helper("write_stacks");
  PyObject *out = py.PyLong_FromLong(fd);
  PyObject *r = write && out ? py.PyObject_CallFunctionObjArgs(write, out, NULL) : NULL;
  int ok = r != NULL;
  py.Py_DecRef(r);
  py.Py_DecRef(out);
  py.Py_DecRef(write);
  py.PyErr_Clear();
  return ok;
}

static void *with_gil(void *arg) {
  struct dump *d = arg;
  int state = py.PyGILState_Ensure();
  if (take(d, WRITING)) {
    d->ok = write_stacks(d->out);
    gw_poke(d->done);
  }
  for (int i = 0; i < PAUSES && __atomic_load_n(&d->state, __ATOMIC_SEQ_CST) == GIVEN_UP; i++)
    usleep(PAUSE_US);
  py.PyGILState_Release(state);
  drop(d);
  __atomic_sub_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

/* write_without_gil has the fault handler write, unless Python has ended it already. */
static int write_without_gil(void) {
  if (without_gil && py.Py_IsInitialized()) without_gil(GW_STACKS_SIGNAL);
  return 0;
}

/* await waits until fd can be read, for so many milliseconds at most. */
static int await(int fd, int ms) {
  int64_t ends = gw_now() + (int64_t)ms * 1000000, left;
  struct pollfd p = {fd, POLLIN, 0};
  while ((left = ends - gw_now()) > 0) {
    int r = poll(&p, 1, (int)(left / 1000000) + 1);
    if (r >= 0 || errno != EINTR) return r > 0;
  }
  return 0;
}

/* gw_stacks has the stacks of all Python threads written: to the file out, and returns
 * 1, or, if it cannot have the GIL within patience milliseconds or may not, to where the
 * fault handler writes, and returns 0. Only one call at a time. */
int gw_stacks(int out, int patience) {
  /* Without a GIL that others wait for, to have it stops nobody. */
  if (out < 0 || gw_no_gil || __atomic_load_n(&ending, __ATOMIC_SEQ_CST)) return write_without_gil();
  struct dump *d = calloc(1, sizeof *d);
  if (!d) return write_without_gil();
  d->refs = 2;
  d->out = out;
  d->done = eventfd(0, EFD_CLOEXEC);
  /* Whoever still waits from the last time says enough. */
  if (__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST) > 1 || d->done < 0 || gw_start_thread(with_gil, d) != 0) {
    __atomic_sub_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    if (d->done >= 0) close(d->done);
    free(d);
    return write_without_gil();
  }
  int ok = 0;
  if (await(d->done, patience) || !take(d, GIVEN_UP)) {
    uint64_t n;
    while (read(d->done, &n, sizeof n) < 0 && errno == EINTR) {
    }
    ok = d->ok;
    if (!ok) write_without_gil();
  } else {
    write_without_gil();
    __atomic_store_n(&d->state, WRITTEN, __ATOMIC_SEQ_CST);
  }
  drop(d);
  return ok;
}

/* gw_stacks_begin has the fault handler write faults to fd. Its handler for
 * GW_STACKS_SIGNAL is for gw_stacks; the signal keeps the action it has. */
int gw_stacks_begin(int fd) {
  struct sigaction before, fault;
  sigaction(GW_STACKS_SIGNAL, NULL, &before);
  if (gw_enable_faulthandler(fd) != 0) return -1;
  sigaction(GW_STACKS_SIGNAL, &before, &fault);
  without_gil = fault.sa_handler;
  return 0;
}

/* gw_stacks_end is for when Python begins to end. */
void gw_stacks_end(void) { __atomic_store_n(&ending, 1, __ATOMIC_SEQ_CST); }

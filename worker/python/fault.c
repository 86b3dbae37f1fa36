#define _GNU_SOURCE
#include "bridge.h"

#include <errno.h>
#include <link.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A fault in C code (an extension module, CPython) should kill the worker with
 * that very signal, after Python's fault handler has printed where every thread
 * was; the master then names the signal. A fault in Go code is Go's: a nil
 * dereference there is a panic with a Go traceback. Go's handlers, installed
 * first, would claim both, so:
 *
 *   before CPython starts   Go's actions are saved, the defaults set
 *   faulthandler.enable     prints the stacks, puts the defaults back, raises again
 *   gw_fault_after_python   ours on top: a fault whose program counter lies in
 *                           this program or library goes to Go, all others on to Python's
 */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
enum { NFAULTS = sizeof faults / sizeof faults[0] };
static struct sigaction go_action[NFAULTS], python_action[NFAULTS];

/* Where the code of this executable, or library, lies. */
static uintptr_t text_start, text_end;

/* find_text is called for each object of the process, until it returns 1. */
static int find_text(struct dl_phdr_info *object, size_t size, void *arg) {
  (void)size, (void)arg;
  uintptr_t own = (uintptr_t)find_text;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    uintptr_t start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    uintptr_t end = start + object->dlpi_phdr[i].p_memsz;
    if (object->dlpi_phdr[i].p_type != PT_LOAD || own < start || own >= end) continue;
    text_start = start;
    text_end = end;
    return 1;
  }
  return 0;
}

#if defined(__x86_64__)
#include <ucontext.h>
static uintptr_t program_counter(void *ctx) {
  return (uintptr_t)((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
}
#elif defined(__aarch64__)
#include <ucontext.h>
static uintptr_t program_counter(void *ctx) {
  return (uintptr_t)((ucontext_t *)ctx)->uc_mcontext.pc;
}
#else
static uintptr_t program_counter(void *ctx) {
  (void)ctx;
  return 0;
}
#endif

/* A library's Go runtime ends the process by SIGABRT when it has written its stacks,
 * but waits before that, for ten seconds, for its other threads to do so too: it sends
 * SIGQUIT for that, which they do not take for it because the worker handles it. */
static void on_relay(int sig) {
  (void)sig;
  raise(SIGABRT);
}

static void go_fault(int i, int sig, siginfo_t *info, void *ctx) {
  if (gw_hosted) {
    struct sigaction relay;
    memset(&relay, 0, sizeof relay);
    relay.sa_handler = on_relay;
    relay.sa_flags = SA_ONSTACK;
    sigaction(SIGQUIT, &relay, NULL);
  }
  go_action[i].sa_sigaction(sig, info, ctx);
}

static void on_fault(int sig, siginfo_t *info, void *ctx) {
  uintptr_t pc = program_counter(ctx);
  for (int i = 0; i < NFAULTS; i++) {
    if (faults[i] != sig) continue;
    if (info->si_code > 0 && pc >= text_start && pc < text_end &&
        (go_action[i].sa_flags & SA_SIGINFO)) {
      go_fault(i, sig, info, ctx);
      return;
    }
    sigaction(sig, &python_action[i], NULL);
    /* A real fault happens again when the instruction is retried; one that was
     * sent with kill(2) has to be raised. */
    if (info->si_code <= 0) raise(sig);
  }
}

void gw_fault_before_python(void) {
  struct sigaction dfl;
  memset(&dfl, 0, sizeof dfl);
  dfl.sa_handler = SIG_DFL;
  for (int i = 0; i < NFAULTS; i++) sigaction(faults[i], &dfl, &go_action[i]);
  sigaction(SIGABRT, &dfl, NULL);
}

void gw_fault_after_python(void) {
  dl_iterate_phdr(find_text, NULL);
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_fault;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (int i = 0; i < NFAULTS; i++) sigaction(faults[i], &sa, &python_action[i]);
}

/* With a worker_abort hook, SIGABRT is Python's: its handler runs the hook on the
 * main thread, prints the stacks and aborts. A main thread that does not come back
 * from C code runs no handler; then the fault handler, which needs no interpreter,
 * has its turn after all. The handler gives SIGABRT up as soon as it runs, by which
 * that is told apart; a thread that only waits for a processor has its time. */
enum { ABORT_PATIENCE_US = 2000 * 1000 };
static struct sigaction fault_abort, python_abort;
static sem_t aborting;

static void on_abort(int sig, siginfo_t *info, void *ctx) {
  sem_post(&aborting);
  if (python_abort.sa_flags & SA_SIGINFO) python_abort.sa_sigaction(sig, info, ctx);
  else python_abort.sa_handler(sig);
}

static void *abort_backup(void *arg) {
  (void)arg;
  while (sem_wait(&aborting) != 0 && errno == EINTR) {
  }
  usleep(ABORT_PATIENCE_US);
  struct sigaction now;
  sigaction(SIGABRT, NULL, &now);
  if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_abort) return NULL;
  sigaction(SIGABRT, &fault_abort, NULL);
  kill(getpid(), SIGABRT);
  return NULL;
}

/* catch_abort(install) calls install, which sets Python's handler for SIGABRT. */
PyObject *gw_catch_abort(PyObject *self, PyObject *install) {
  (void)self;
  sigaction(SIGABRT, NULL, &fault_abort);
  PyObject *r = py.PyObject_CallFunctionObjArgs(install, NULL);
  if (!r) return NULL;
  if (sem_init(&aborting, 0, 0) == 0 && gw_start_thread(abort_backup, NULL) == 0) {
    struct sigaction sa;
    sigaction(SIGABRT, NULL, &python_abort);
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_abort;
    /* No SA_RESTART: what sleeps is to wake up, as with Python's own. */
    sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGABRT, &sa, NULL);
  }
  return r;
}

#define _GNU_SOURCE
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The spawner: this binary with CPython and without Go. A constructor runs before
 * the Go runtime; where the environment asks for it, it starts CPython, runs
 * spawner.py, and does not return but in the workers that spawner.py forks. There
 * Go starts, with an interpreter that runs and perhaps an application that is
 * loaded, whose memory all workers share.
 *
 *   master                     spawner                          worker
 *     | exec, EnvSpawner         |
 *     |------------------------->| constructor: Python, spawner.py
 *     |        "fork", fds       |
 *     |------------------------->| fork --> fork                  |
 *     |                          |           |------------------->| fds to 3, 4, ...
 *     |<------------- "started", its pid, on the status pipe -----|
 *     |                          |  exits: the worker's parent is |
 *     |                          |  now the master (subreaper)    | constructor returns,
 *     |                          v                                v Go starts
 */

/* Package ipc has the names of these. */
enum {
  FD_CONTROL = 3, /* as the spawner inherits it */
  FD_IMAGE = 4,
  FD_STATUS = 4, /* as a worker has it */
  FIRST = 3,     /* the first descriptor of a worker */
  /* So many descriptors from FIRST on belong to workers: what the application
   * opens in the spawner gets others. ipc.MaxSpawned. */
  RESERVED = 64,
};
static const char mark_spawner[] = "GOWSGI_SPAWNER", mark_worker[] = "GOWSGI_WORKER";

static int control = -1;
static pid_t master;
static int spawned; /* this process is a worker the spawner forked */

/* The memory of the command line, which ps shows. */
static char *title;
static size_t title_size;

int gw_spawned(void) { return spawned; }

void gw_set_spawned(void) { spawned = 1; }

int gw_preloaded(void) { return gw_application != NULL; }

char **gw_environment(void) { return environ; }

/* gw_adopt makes Go and the interpreter the spawner started know of each other. */
int gw_adopt(void) {
  gw_fault_before_python();
  PyObject *f = gw_helper("restore_signals");
  PyObject *r = f ? py.PyObject_CallFunctionObjArgs(f, NULL) : NULL;
  int ok = r != NULL;
  py.PyErr_Clear();
  py.Py_DecRef(r);
  py.Py_DecRef(f);
  return ok ? 0 : -1;
}

/* The spawner looks at its control socket only between orders. If the master is gone
 * while it does something that never ends, it must not stay. */
enum { ORPHAN_SECONDS = 3 };

static void *watch_master(void *arg) {
  (void)arg;
  struct pollfd p = {.fd = control};
  while (poll(&p, 1, -1) < 0 && errno == EINTR) {
  }
  sleep(ORPHAN_SECONDS);
  _exit(1);
}

/* above moves a descriptor out of the reserved range. */
static int above(int fd) {
  if (fd >= FIRST + RESERVED) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST + RESERVED);
  if (moved >= 0) close(fd);
  return moved;
}

/* reserve fills the range with something harmless. */
static int reserve(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return -1;
  for (int fd = FIRST; fd < FIRST + RESERVED; fd++)
    if (fd != null && dup3(null, fd, O_CLOEXEC) < 0) return -1;
  return null < FIRST + RESERVED ? 0 : close(null);
}

/* read_image returns all of the image, NUL-terminated. */
static char *read_image(int fd, size_t *size) {
  struct stat st;
  if (fstat(fd, &st) != 0) return NULL;
  char *p = malloc((size_t)st.st_size + 1);
  for (*size = 0; p && *size < (size_t)st.st_size;) {
    ssize_t n = pread(fd, p + *size, (size_t)st.st_size - *size, (off_t)*size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      free(p);
      return NULL;
    }
    *size += (size_t)n;
  }
  if (p) p[*size] = 0;
  return p;
}

/* Signals that the spawner sends to itself are meant for the master: hooks know
 * one process of that kind only (os.kill(os.getpid(), SIGHUP) is how a hook
 * reloads). From anybody else they reach the master too, or will, if a terminal
 * sends them to the whole group; then the master decides. */
static void on_signal(int sig, siginfo_t *info, void *context) {
  (void)context;
  int saved = errno;
  if (info->si_code <= 0 && info->si_pid == getpid() && master > 1) kill(master, sig);
  errno = saved;
}

static PyObject *catch_signals(PyObject *self, PyObject *none) {
  (void)self, (void)none;
  static const int caught[] = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,  SIGUSR1,
                               SIGUSR2, SIGTTIN, SIGTTOU, SIGWINCH};
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_signal;
  sa.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) sigaction(caught[i], &sa, NULL);
  signal(SIGPIPE, SIG_IGN); /* as in any Python process */
  py.Py_IncRef(py.None);
  return py.None;
}

/* forget_signals puts handlers back to the default, as execve does: Go looks at
 * what it finds when it starts. What Python has a handler for is put back by
 * helper.py. */
static void forget_signals(void) {
  for (int sig = 1; sig < NSIG; sig++) {
    struct sigaction sa;
    if (sigaction(sig, NULL, &sa) != 0) continue;
    if (sa.sa_handler == SIG_DFL || (sa.sa_handler == SIG_IGN && sig != SIGPIPE)) continue;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_DFL;
    sigaction(sig, &sa, NULL);
  }
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
}

/* become_worker puts the descriptors where a worker has them and tells the master
 * who it is. */
static void become_worker(const int *fds, int n) {
  spawned = 1;
  for (int i = 0; i < n; i++) {
    dup2(fds[i], FIRST + i);
    close(fds[i]);
  }
  for (int fd = FIRST + n; fd < FIRST + RESERVED; fd++) close(fd);
  close(control);
  forget_signals();
  dprintf(FD_STATUS, "{\"kind\":\"started\",\"pid\":%d}\n", (int)getpid());
}

/* fork_twice forks a child whose parent is gone, so that the master becomes it. It
 * returns 0 in the child, its pid in the parent, -1 if it cannot. */
static pid_t fork_twice(void) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return -1;
  pid_t middle = fork();
  if (middle == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      close(report[0]);
      close(report[1]);
      return 0;
    }
    _exit(write(report[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
  }
  close(report[1]);
  pid_t pid = -1;
  if (middle > 0) {
    ssize_t n;
    while ((n = read(report[0], &pid, sizeof pid)) < 0 && errno == EINTR) {
    }
    if (n != sizeof pid) pid = -1;
    while (waitpid(middle, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  close(report[0]);
  return pid;
}

/* fork_worker(fds) makes a worker with these descriptors, from FIRST on, and
 * returns 0 in it and its pid in the spawner, which has closed them. */
static PyObject *fork_worker(PyObject *self, PyObject *tuple) {
  (void)self;
  int fds[RESERVED];
  Py_ssize_t n = py.PyTuple_Size(tuple);
  int ok = n > 0 && n <= RESERVED;
  for (Py_ssize_t i = 0; ok && i < n; i++) {
    fds[i] = above((int)py.PyLong_AsSsize_t(py.PyTuple_GetItem(tuple, i)));
    ok = fds[i] >= 0;
  }
  if (!ok) {
    py.PyErr_Clear();
    py.PyErr_SetString(py.PyExc_ValueError, "bad descriptors for a worker");
    return NULL;
  }
  /* A signal between fork and forget_signals would find the spawner's handlers. */
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  py.PyOS_BeforeFork();
  pid_t pid = fork_twice();
  int error = errno;
  if (pid == 0) {
    become_worker(fds, (int)n);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    py.PyOS_AfterFork_Child();
    return py.PyLong_FromLong(0);
  }
  py.PyOS_AfterFork_Parent();
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  for (Py_ssize_t i = 0; i < n; i++) close(fds[i]);
  static int forgotten;
  if (!forgotten) gw_forget_file_pages(); /* there may be nothing to do for days */
  forgotten = 1;
  if (pid < 0) {
    py.PyErr_Format(py.PyExc_RuntimeError, "fork: %s", strerror(error));
    return NULL;
  }
  return py.PyLong_FromLong(pid);
}

/* gw_set_title shows the process as text, cut to the room there is. */
void gw_set_title(const char *text, size_t n) {
  if (title_size == 0) return;
  size_t len = n < title_size ? n : title_size - 1;
  memcpy(title, text, len);
  memset(title + len, 0, title_size - len);
}

/* set_title(bytes) is gw_set_title. */
static PyObject *set_title(PyObject *self, PyObject *bytes) {
  (void)self;
  char *p;
  Py_ssize_t n;
  if (py.PyBytes_AsStringAndSize(bytes, &p, &n) != 0) return NULL;
  gw_set_title(p, (size_t)n);
  py.Py_IncRef(py.None);
  return py.None;
}

/* fill_holes(pools) is called before the first fork; pools: Python has pymalloc. */
static PyObject *fill_holes(PyObject *self, PyObject *pools) {
  (void)self;
  gw_fill_holes(py.PyObject_IsTrue(pools) > 0);
  py.Py_IncRef(py.None);
  return py.None;
}

static PyMethodDef functions[] = {
    {"fill_holes", fill_holes, METH_O, NULL},
    {"catch_signals", catch_signals, METH_NOARGS, NULL},
    {"fork_worker", fork_worker, METH_O, NULL},
    {"set_title", set_title, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* serve runs spawner.py's serve, which returns in workers, and in the spawner when
 * the master has closed the other end. It returns -1 with an exception. */
static int serve(const char *source, const char *hooks, const char *logs) {
  PyObject *dict = gw_module("_gowsgi_spawner", functions, source);
  PyObject *f = dict ? py.PyDict_GetItemString(dict, "serve") : NULL; /* borrowed */
  PyObject *fd = py.PyLong_FromLong(control), *pid = py.PyLong_FromLong(master);
  PyObject *h = py.PyUnicode_DecodeFSDefault(hooks), *l = py.PyUnicode_DecodeFSDefault(logs);
  PyObject *r = f && fd && pid && h && l /* they are ASCII */
                    ? py.PyObject_CallFunctionObjArgs(f, fd, pid, h, l, NULL)
                    : NULL;
  int ok = r != NULL;
  py.Py_DecRef(l);
  py.Py_DecRef(h);
  py.Py_DecRef(fd);
  py.Py_DecRef(pid);
  py.Py_DecRef(r);
  return ok ? 0 : -1;
}

/* spawner is the life of a spawner; it returns in workers only. The image, made by
 * SpawnerImage in Go, is six strings: library, interpreter, helper.py, spawner.py,
 * hooks.py and logs.py. */
static void spawner(void) {
  char err[512] = "starting: too few descriptors, threads or memory";
  size_t size = 0;
  control = above(FD_CONTROL);
  int image = above(FD_IMAGE);
  char *library = read_image(image, &size);
  const char *part[6] = {library};
  for (int i = 1; i < 6 && library; i++) part[i] = part[i - 1] + strlen(part[i - 1]) + 1;
  if (!library || part[5] > library + size || control < 0 || reserve() != 0 || gw_start_thread(watch_master, NULL) != 0 ||
      gw_start(part[0], part[1], part[2], err, sizeof err) != 0) {
    fprintf(stderr, "gowsgi: spawner: %s\n", err);
    exit(1);
  }
  close(image);
  gw_enable_faulthandler(2);
  int failed = serve(part[3], part[4], part[5]) != 0;
  if (failed) {
    char *text = gw_format_exception(NULL);
    fprintf(stderr, "gowsgi: spawner: %s\n", text);
    free(text);
  }
  if (spawned) {
    /* A worker whose Python side is not whole must not serve. */
    if (failed) _exit(1);
    free(library);
    return;
  }
  py.Py_FinalizeEx();
  exit(failed);
}

/* own_environment gives C a copy of the environment. The Go runtime of a worker
 * reads the original, and the auxiliary vector behind it, so nothing may change
 * there: unsetenv would move its entries. */
static int own_environment(void) {
  size_t n = 0;
  while (environ[n]) n++;
  char **copy = malloc(sizeof *copy * (n + 1));
  if (!copy) return -1;
  memcpy(copy, environ, sizeof *copy * (n + 1));
  environ = copy;
  return 0;
}

/* In a library it is called, too, with the arguments of the program. */
__attribute__((constructor)) static void start(int argc, char **argv) {
  if (argc > 0) {
    title = argv[0];
    title_size = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - title);
  }
  if (!getenv(mark_spawner)) return;
  if (own_environment() != 0) _exit(1);
  unsetenv(mark_spawner);
  unsetenv(mark_worker);
  prctl(PR_SET_NAME, "gowsgi-spawner");
  master = getppid();
  spawner();
}

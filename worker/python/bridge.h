/* The bridge between the Go worker and CPython. Ownership, threads and the
 * GIL: README.md beside this file. */
#ifndef GW_BRIDGE_H
#define GW_BRIDGE_H

#include "api.h"

/* A part of the read buffer; http1.Span in Go. */
typedef struct {
  uint32_t off, len;
} gw_span;

/* A field line; http1.Field in Go. */
typedef struct {
  gw_span name, value;
} gw_field;

/* Bytes that C lends to Go for the length of one callback. */
typedef struct {
  const char *p;
  size_t len;
} gw_bytes;

typedef struct {
  gw_bytes name, value;
} gw_header;

/* One request, filled by Go, valid for the length of gw_call. */
typedef struct {
  const char *buf; /* what the spans are offsets into */
  const gw_field *fields;
  uint32_t nfields;
  gw_span method, target, query;
  gw_span version;      /* "HTTP/1.1" */
  gw_span host;         /* len 0: HTTP_HOST is the field's */
  gw_bytes path_info;   /* decoded */
  gw_bytes script_name; /* NULL: as the base environ has it */
  gw_bytes remote_addr;
  gw_bytes remote_port; /* len 0: none (unix socket) */
  gw_bytes proxy_protocol; /* len 0: no PROXY header; the next two may be empty too */
  gw_bytes proxy_addr, proxy_port;
  gw_bytes body;        /* complete, unless body_stream */
  uint8_t body_stream;  /* the body is read by callbacks */
  gw_bytes server_name; /* len 0: as the base environ has it */
  gw_bytes server_port;
  uint8_t https;
  uint8_t upgrade; /* the client offers to speak something else */
  uint32_t listener;
  double queue_time; /* seconds; 0: as the base environ has it */
  int fd;            /* the client's connection */
} gw_request;

/* Room for why a callback refused, NUL-terminated. */
enum { GW_ERR = 256 };

/* What one application thread owns on the C side. Go allocates none of it, so
 * no Go pointer is ever kept here. */
typedef struct gw_thread {
  uint64_t index;         /* the handle callbacks name the thread by */
  PyThreadState *tstate;  /* saved while the thread does not hold the GIL */
  gw_request req;
  gw_field *fields;       /* storage of req.fields */
  gw_header *headers;     /* scratch of start_response */
  size_t headers_cap;
  PyObject *call;         /* the running request's Call, or NULL */
  PyObject *environ;      /* of the running request, or NULL */
  PyObject *addr;         /* the last REMOTE_ADDR, kept for the next request */
  char addr_text[48];
  size_t addr_len;
  uint32_t *seen;         /* per hash of a key: the last request that had it */
  uint32_t serial;        /* of the running request, for seen */
  int taken;              /* the application has taken the connection over */
  int whole;              /* all of the content that was announced has been written */
  int exhausted;          /* its iterable has ended, without an exception */
  /* For hooks, of the running request: what the one before it returned, and what
   * start_response got. */
  PyObject *request, *status, *sent_headers;
  struct gw_entry *names; /* cache of field names, environ.c */
  unsigned long ident;    /* threading.get_ident() of the thread */
  int interrupted;        /* an exception was raised in it from outside */
} gw_thread;

/* Results of the callbacks. */
enum {
  GW_OK = 0,
  GW_WAIT = 1,     /* the response is ahead of the client: call gwgoFlush without the GIL */
  GW_GONE = 2,     /* the client is gone */
  GW_INVALID = 3,  /* refused, err says why */
  GW_TWICE = 4,    /* start_response was called before */
  GW_SENT = 5,     /* the head is on the wire */
  GW_ITERATE = 6,  /* the file has to be read in blocks */
};

/* A write larger than this is done without the GIL. */
enum { GW_WRITE_INLINE = 65536 };

/* Results of gw_call. */
enum {
  GW_CALL_OK = 0,
  GW_CALL_FAILED = 1, /* the application raised; gwgoError has been called */
  GW_CALL_GONE = 2,   /* the client went away before the response was complete */
};

/* How a request ended, for the hook after it. */
enum { GW_OUTCOME = 16 };
typedef struct {
  int64_t sent;             /* bytes of content */
  int status;               /* 0: there was no response */
  char outcome[GW_OUTCOME]; /* "" if the request is recorded already */
} gw_ending;

/* load.c, boot.c: all return 0, or -1 with a message in err. */
int gw_load(const char *library, char *err, size_t errlen);
int gw_load_objects(char *err, size_t errlen);
int gw_start(const char *library, const char *program, const char *helper, char *err,
             size_t errlen);
int gw_take_over(PyObject *application);
int gw_set_argv(char **argv, int n);
int gw_insert_path(const char *dir);
void gw_finalize(gw_thread *t);
void gw_detach_main(gw_thread *t);
void gw_attach_main(gw_thread *t);
int gw_check_signals(gw_thread *t);
void gw_leave_forked_child(void);
int gw_wakeup_fd(int fd);

/* Loading the application. The out parameters are malloc'ed; the caller frees. */
int gw_load_application(const char *module, const char *attr, char **error, char **traceback);
int gw_set_base_environ(uint32_t listeners, uint32_t i, char **pairs, int npairs,
                        int multithread, int multiprocess, int error_fd);
int gw_set_wanted(char **keys, int n);
int gw_use_sendfile(void);
int gw_enable_faulthandler(int fd);
int gw_report_modules(int fd);
int gw_start_threads(int n);
int gw_parallel(void);

gw_thread *gw_thread_new(uint64_t index, uint32_t max_fields);
int gw_call(uintptr_t thread);
void gw_interrupt(gw_thread *t, uint32_t serial);

/* watch.c */
typedef struct {
  const int64_t *start; /* of the thread's call, 0: idle; it does not move */
  int64_t reported;     /* the start of the last call that was reported */
  int long_fd;          /* the eventfd that long calls are told on */
} gw_watched;
int64_t gw_now(void); /* ns */
void gw_poke(int eventfd);
int gw_start_thread(void *(*run)(void *), void *arg);
gw_watched *gw_watch_new(int n);
int gw_watch_start(int64_t ns, int wake);
void gw_watch_wake(void);

/* fault.c, fork.c */
void gw_fault_before_python(void);
void gw_fault_after_python(void);
int gw_fork_guard(const int *fds, int n);
int gw_in_forked_child(void);
uint32_t *gw_forks(void);

/* stacks.c */
enum { GW_STACKS_SIGNAL = 63 }; /* ipc.StacksSignal */
int gw_stacks_begin(int fd);
int gw_stacks(int out, int patience);
void gw_stacks_end(void);

/* spawn.c: the spawner and the workers it forks. */
int gw_spawned(void);
int gw_preloaded(void);
int gw_adopt(void);
char **gw_environment(void);
void gw_set_spawned(void);
void gw_set_title(const char *text, size_t n);

/* host.c: CPython was there before this code, which it has loaded. */
extern int gw_hosted;
int gw_held(int sig);

/* pages.c */
void gw_forget_file_pages(void);

/* holes.c */
void gw_fill_holes(int pools);

/* hooks.c */
void gw_go_runs(void);
int gw_set_loglevel(const char *name);
int gw_hook(const char *name, char **error, char **traceback);

/* feed.c */
void gw_feed(const char *level, const char *text, size_t n);

/* Internal to the C side. */
extern PyObject *gw_application;
PyObject *gw_module(const char *name, PyMethodDef *functions, const char *source);
extern int gw_no_gil; /* threads run Python code at the same time */
PyObject *gw_helper(const char *name); /* a new reference, or NULL with an exception */
int gw_request_setup(void);
int gw_environ_setup(void);
PyObject *gw_environ(gw_thread *t);
PyObject *gw_str(const char *p, size_t n);
void gw_report(gw_thread *t, int phase);
char *gw_format_exception(char **line);
char *gw_text(PyObject *s);
PyObject *gw_early_hints(PyObject *self, PyObject *headers);
PyObject *gw_read_body(PyObject *self, PyObject *args);
PyObject *gw_client_fd(PyObject *self, PyObject *args);
PyObject *gw_client_disconnected(PyObject *self, PyObject *none);
int gw_explain(char **error, char **traceback);
extern int gw_hooked;
int gw_run_hooked(gw_thread *t, int (*run)(gw_thread *));
void gw_keep_response(gw_thread *t, PyObject *status, PyObject *headers);
PyObject *gw_get_application(PyObject *self, PyObject *ignored);
PyObject *gw_set_application(PyObject *self, PyObject *app);
PyObject *gw_set_request_hooks(PyObject *self, PyObject *args);
PyObject *gw_log(PyObject *self, PyObject *args);
PyObject *gw_signalled(PyObject *self, PyObject *number);
PyObject *gw_catch_abort(PyObject *self, PyObject *install);

/* Phases gw_report names. */
enum { GW_IN_APPLICATION = 0, GW_IN_CLOSE = 1, GW_IN_SIGNAL_HANDLER = 2 };

#endif

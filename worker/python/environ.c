#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* The environ of a request (PEP 3333, environ Variables) is a copy of a base
 * dict that holds what never changes for a listener, plus what the request says.
 * Keys are interned strings made once; field names map to theirs by a cache. */

enum { CACHE = 256, NAME_MAX_CACHED = 40, VALUE_MAX_CACHED = 96 };

/* One cached field name. Each application thread has a table of its own, so that
 * none needs a lock when there is no GIL; what a thread never touches of it takes
 * no memory. */
struct gw_entry {
  PyObject *key;
  uint32_t mark;   /* of the key, for gw_thread.seen */
  PyObject *value; /* the last short value seen, or NULL */
  uint8_t name_len; /* 0: free */
  uint8_t value_len;
  char name[NAME_MAX_CACHED];
  char value_text[VALUE_MAX_CACHED];
};

static PyObject **base_environ;
static uint32_t base_count;

static struct {
  PyObject *REQUEST_METHOD, *PATH_INFO, *RAW_URI, *QUERY_STRING, *SCRIPT_NAME;
  PyObject *SERVER_PROTOCOL, *SERVER_NAME, *SERVER_PORT;
  PyObject *REMOTE_ADDR, *REMOTE_PORT, *url_scheme, *input;
  PyObject *HTTP_HOST, *queue_time, *socket;
  PyObject *PROXY_PROTOCOL, *PROXY_ADDR, *PROXY_PORT;
} key;

static PyObject *https, *http_1_0, *comma;
static PyObject *bytes_io, *body_stream, *client_socket;

PyObject *gw_str(const char *p, size_t n) {
  return py.PyUnicode_DecodeLatin1(p, (Py_ssize_t)n, NULL);
}

/* put stores value under k and releases it; value may be NULL (an error). */
static int put(PyObject *d, PyObject *k, PyObject *value) {
  if (!value) return -1;
  int r = py.PyDict_SetItem(d, k, value);
  py.Py_DecRef(value);
  return r;
}

static int put_bytes(PyObject *d, PyObject *k, gw_bytes b) { return put(d, k, gw_str(b.p, b.len)); }

static int put_span(PyObject *d, PyObject *k, const char *buf, gw_span s) {
  return put(d, k, gw_str(buf + s.off, s.len));
}

/* Names whose keys are interned, so that an application's look-up finds them by
 * address. Only these: some CPythons never free an interned string, and names are
 * the client's to choose. */
static const char *const common_keys[] = {
    "HTTP_HOST", "HTTP_USER_AGENT", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE", "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL", "HTTP_CONNECTION",
    "HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_REFERER", "HTTP_PRAGMA", "HTTP_RANGE", "HTTP_TE",
    "HTTP_TRANSFER_ENCODING", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH",
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP", "HTTP_X_REQUESTED_WITH", "HTTP_X_REQUEST_ID",
    "HTTP_X_CSRFTOKEN", "HTTP_UPGRADE_INSECURE_REQUESTS", "HTTP_SEC_FETCH_DEST",
    "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_USER", "HTTP_SEC_CH_UA",
    "HTTP_SEC_CH_UA_MOBILE", "HTTP_SEC_CH_UA_PLATFORM", "HTTP_DNT", "HTTP_VIA",
    "HTTP_FORWARDED", "HTTP_TRACEPARENT", "HTTP_EXPECT",
};

static PyObject *key_object(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof common_keys / sizeof common_keys[0]; i++)
    if (strlen(common_keys[i]) == n && !memcmp(common_keys[i], name, n))
      return py.PyUnicode_InternFromString(common_keys[i]);
  return gw_str(name, n);
}

static uint32_t key_mark(const char *name, size_t n) {
  uint32_t h = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)name[i]) * 16777619u;
  return h % CACHE;
}

/* environ_key makes the CGI name of a field name. Go has decided which names with
 * an underscore come here; the two fields without HTTP_ are those with a hyphen
 * (gunicorn: header_map). */
static PyObject *environ_key(const char *p, size_t n, uint32_t *mark) {
  char small[256];
  char *b = n + 6 <= sizeof small ? small : malloc(n + 6);
  if (!b) return NULL;
  memcpy(b, "HTTP_", 5);
  for (size_t i = 0; i < n; i++) {
    char c = p[i];
    b[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
  }
  b[5 + n] = 0;
  PyObject *k;
  if (!memchr(p, '_', n) &&
      (!strcmp(b + 5, "CONTENT_TYPE") || !strcmp(b + 5, "CONTENT_LENGTH")))
    k = py.PyUnicode_InternFromString(b + 5);
  else
    k = key_object(b, n + 5);
  *mark = key_mark(b, n + 5);
  if (b != small) free(b);
  return k;
}

static uint32_t hash_name(const char *p, uint32_t n) {
  uint32_t h = n * 0x9e3779b1u;
  h ^= (uint32_t)(unsigned char)p[0] * 0x85ebca6bu;
  h ^= (uint32_t)(unsigned char)p[n / 2] * 0xc2b2ae35u;
  h ^= (uint32_t)(unsigned char)p[n - 1] * 0x27d4eb2fu;
  h ^= h >> 15;
  return h % CACHE;
}

/* put_field joins a repeated field to what is there by a comma, as gunicorn
 * does (there for cookies too). */
static int put_field(PyObject *d, PyObject *k, PyObject *value, int repeated) {
  if (!repeated) return py.PyDict_SetItem(d, k, value);
  PyObject *old = py.PyDict_GetItemWithError(d, k); /* borrowed */
  if (!old) return py.PyErr_Occurred() ? -1 : py.PyDict_SetItem(d, k, value);
  PyObject *with_comma = py.PyUnicode_Concat(old, comma);
  PyObject *joined = with_comma ? py.PyUnicode_Concat(with_comma, value) : NULL;
  py.Py_DecRef(with_comma);
  return put(d, k, joined);
}

static int put_uncached(PyObject *d, const char *np, uint32_t nn, const char *vp, uint32_t vn) {
  uint32_t mark;
  PyObject *k = environ_key(np, nn, &mark);
  if (!k) return -1;
  PyObject *v = gw_str(vp, vn);
  int r = v ? put_field(d, k, v, 1) : -1;
  py.Py_DecRef(v);
  py.Py_DecRef(k);
  return r;
}

/* fill gives the entry to another name. */
static int fill(struct gw_entry *e, const char *p, uint32_t n) {
  uint32_t mark;
  PyObject *k = environ_key(p, n, &mark);
  if (!k) return -1;
  py.Py_DecRef(e->key);
  py.Py_DecRef(e->value);
  e->key = k;
  e->mark = mark;
  e->value = NULL;
  e->value_len = 0;
  e->name_len = (uint8_t)n;
  memcpy(e->name, p, n);
  return 0;
}

/* field_value returns a new reference: the cached object when the line is the
 * one seen last, as it is on a connection's second request. */
static PyObject *field_value(struct gw_entry *e, const char *p, uint32_t n) {
  if (e->value && e->value_len == n && !memcmp(e->value_text, p, n)) {
    py.Py_IncRef(e->value);
    return e->value;
  }
  PyObject *v = gw_str(p, n);
  if (v && n <= VALUE_MAX_CACHED && n > 1) {
    py.Py_DecRef(e->value);
    py.Py_IncRef(v);
    e->value = v;
    e->value_len = (uint8_t)n;
    memcpy(e->value_text, p, n);
  }
  return v;
}

static int put_fields(gw_thread *t, PyObject *d) {
  const gw_request *r = &t->req;
  for (uint32_t i = 0; i < r->nfields; i++) {
    gw_field f = r->fields[i];
    const char *np = r->buf + f.name.off, *vp = r->buf + f.value.off;
    if (f.name.len > NAME_MAX_CACHED) {
      if (put_uncached(d, np, f.name.len, vp, f.value.len) != 0) return -1;
      continue;
    }
    uint32_t h = hash_name(np, f.name.len);
    struct gw_entry *e = &t->names[h];
    if (e->name_len != f.name.len || memcmp(e->name, np, f.name.len) != 0)
      if (fill(e, np, f.name.len) != 0) return -1;
    PyObject *v = field_value(e, vp, f.value.len);
    if (!v) return -1;
    /* All spellings of a name have the mark of their key, so it tells whether the
     * request may have had it before; a collision costs a look. */
    int ret = put_field(d, e->key, v, t->seen[e->mark] == t->serial);
    t->seen[e->mark] = t->serial;
    py.Py_DecRef(v);
    if (ret != 0) return -1;
  }
  return 0;
}

static int put_method(PyObject *d, const gw_request *r) {
  const char *p = r->buf + r->method.off;
  if (r->method.len == 3 && !memcmp(p, "GET", 3)) return 0; /* the base's */
  return put_span(d, key.REQUEST_METHOD, r->buf, r->method);
}

static int put_target(PyObject *d, const gw_request *r) {
  PyObject *raw = gw_str(r->buf + r->target.off, r->target.len);
  if (!raw || py.PyDict_SetItem(d, key.RAW_URI, raw) != 0) {
    py.Py_DecRef(raw);
    return -1;
  }
  int same = r->path_info.len == r->target.len &&
             !memcmp(r->path_info.p, r->buf + r->target.off, r->target.len);
  int ret = same ? py.PyDict_SetItem(d, key.PATH_INFO, raw)
                 : put_bytes(d, key.PATH_INFO, r->path_info);
  py.Py_DecRef(raw);
  if (ret != 0) return -1;
  if (r->query.len && put_span(d, key.QUERY_STRING, r->buf, r->query) != 0) return -1;
  if (r->script_name.p && put_bytes(d, key.SCRIPT_NAME, r->script_name) != 0) return -1;
  return 0;
}

static int put_protocol(PyObject *d, const gw_request *r) {
  const char *p = r->buf + r->version.off;
  if (r->version.len == 8 && !memcmp(p, "HTTP/1.1", 8)) return 0; /* the base's */
  if (r->version.len == 8 && !memcmp(p, "HTTP/1.0", 8))
    return py.PyDict_SetItem(d, key.SERVER_PROTOCOL, http_1_0);
  return put_span(d, key.SERVER_PROTOCOL, r->buf, r->version);
}

/* put_proxy sets what gunicorn tells of a PROXY header. What the client connected to
 * is not always known. */
static int put_proxy(PyObject *d, const gw_request *r) {
  if (put_bytes(d, key.PROXY_PROTOCOL, r->proxy_protocol) != 0) return -1;
  if (!r->proxy_addr.len) return 0;
  if (put_bytes(d, key.PROXY_ADDR, r->proxy_addr) != 0) return -1;
  return put_bytes(d, key.PROXY_PORT, r->proxy_port);
}

/* put_peer sets REMOTE_ADDR and REMOTE_PORT. Behind a proxy the address is the
 * same for every request, so the last one's string is kept. */
static int put_peer(gw_thread *t, PyObject *d) {
  gw_bytes a = t->req.remote_addr;
  if (!t->addr || t->addr_len != a.len || memcmp(t->addr_text, a.p, a.len) != 0) {
    PyObject *s = gw_str(a.p, a.len);
    if (!s) return -1;
    py.Py_DecRef(t->addr);
    t->addr = s;
    t->addr_len = a.len <= sizeof t->addr_text ? a.len : (size_t)-1;
    if (a.len <= sizeof t->addr_text) memcpy(t->addr_text, a.p, a.len);
  }
  if (py.PyDict_SetItem(d, key.REMOTE_ADDR, t->addr) != 0) return -1;
  if (t->req.remote_port.len && put_bytes(d, key.REMOTE_PORT, t->req.remote_port) != 0) return -1;
  return t->req.proxy_protocol.len ? put_proxy(d, &t->req) : 0;
}

static int put_server(PyObject *d, const gw_request *r) {
  /* The authority of an absolute-form target outranks the field (RFC 9112, 3.2.2). */
  if (r->host.len && put_span(d, key.HTTP_HOST, r->buf, r->host) != 0) return -1;
  if (r->https && py.PyDict_SetItem(d, key.url_scheme, https) != 0) return -1;
  if (r->queue_time > 0 && put(d, key.queue_time, py.PyFloat_FromDouble(r->queue_time)) != 0)
    return -1;
  if (r->server_name.len && put_bytes(d, key.SERVER_NAME, r->server_name) != 0) return -1;
  if (r->server_port.len && put_bytes(d, key.SERVER_PORT, r->server_port) != 0) return -1;
  return 0;
}

static int put_input(gw_thread *t, PyObject *d) {
  const gw_request *r = &t->req;
  if (r->body_stream)
    return put(d, key.input, py.PyObject_CallFunctionObjArgs(body_stream, t->call, NULL));
  if (!r->body.len) return put(d, key.input, py.PyObject_CallFunctionObjArgs(bytes_io, NULL));
  PyObject *b = py.PyBytes_FromStringAndSize(r->body.p, (Py_ssize_t)r->body.len);
  PyObject *in = b ? py.PyObject_CallFunctionObjArgs(bytes_io, b, NULL) : NULL;
  py.Py_DecRef(b);
  return put(d, key.input, in);
}

/* put_socket gives a request that may become something else a gunicorn.socket of its
 * own: libraries use that in threads of theirs. */
static int put_socket(gw_thread *t, PyObject *d) {
  if (!t->req.upgrade) return 0; /* the base's */
  return put(d, key.socket, py.PyObject_CallFunctionObjArgs(client_socket, t->call, NULL));
}

/* gw_environ returns the environ of t's request, a new reference, or NULL with
 * an exception. */
PyObject *gw_environ(gw_thread *t) {
  const gw_request *r = &t->req;
  PyObject *d = py.PyDict_Copy(base_environ[r->listener]);
  if (!d) return NULL;
  if (++t->serial == 0) { /* wrapped: forget all */
    memset(t->seen, 0, sizeof *t->seen * CACHE);
    t->serial = 1;
  }
  if (put_method(d, r) != 0 || put_target(d, r) != 0 || put_protocol(d, r) != 0 ||
      put_fields(t, d) != 0 || put_peer(t, d) != 0 || put_server(d, r) != 0 ||
      put_input(t, d) != 0 || put_socket(t, d) != 0) {
    py.Py_DecRef(d);
    return NULL;
  }
  return d;
}

/* Keys of a base environ. These and common_keys are interned before a spawner forks:
 * each new one writes to a page of the table of all interned strings. */
static const char *const shared_keys[] = {
    "wsgi.version", "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once",
    "wsgi.file_wrapper", "wsgi.input_terminated", "wsgi.early_hints", "SERVER_SOFTWARE",
    "gowsgi.client_disconnected",
};

/* gw_environ_setup makes the keys and constants. */
int gw_environ_setup(void) {
  const struct {
    PyObject **p;
    const char *text;
  } strings[] = {
      {&key.REQUEST_METHOD, "REQUEST_METHOD"},
      {&key.PATH_INFO, "PATH_INFO"},
      {&key.RAW_URI, "RAW_URI"},
      {&key.QUERY_STRING, "QUERY_STRING"},
      {&key.SCRIPT_NAME, "SCRIPT_NAME"},
      {&key.SERVER_PROTOCOL, "SERVER_PROTOCOL"},
      {&key.SERVER_NAME, "SERVER_NAME"},
      {&key.SERVER_PORT, "SERVER_PORT"},
      {&key.REMOTE_ADDR, "REMOTE_ADDR"},
      {&key.REMOTE_PORT, "REMOTE_PORT"},
      {&key.url_scheme, "wsgi.url_scheme"},
      {&key.input, "wsgi.input"},
      {&key.HTTP_HOST, "HTTP_HOST"},
      {&key.queue_time, "gowsgi.queue_time"},
      {&key.socket, "gunicorn.socket"},
      {&key.PROXY_PROTOCOL, "PROXY_PROTOCOL"},
      {&key.PROXY_ADDR, "PROXY_ADDR"},
      {&key.PROXY_PORT, "PROXY_PORT"},
      {&https, "https"},
      {&http_1_0, "HTTP/1.0"},
      {&comma, ","},
  };
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    *strings[i].p = py.PyUnicode_InternFromString(strings[i].text);
    if (!*strings[i].p) return -1;
  }
  for (size_t i = 0; i < sizeof shared_keys / sizeof shared_keys[0]; i++)
    if (!py.PyUnicode_InternFromString(shared_keys[i])) return -1;
  for (size_t i = 0; i < sizeof common_keys / sizeof common_keys[0]; i++)
    if (!py.PyUnicode_InternFromString(common_keys[i])) return -1;
  PyObject *io = py.PyImport_ImportModule("io");
  bytes_io = io ? py.PyObject_GetAttrString(io, "BytesIO") : NULL;
  py.Py_DecRef(io);
  body_stream = gw_helper("body_stream");
  client_socket = gw_helper("ClientSocket");
  return bytes_io && body_stream && client_socket ? 0 : -1;
}

/* set stores a new reference under a name and releases it. */
static int set(PyObject *d, const char *name, PyObject *value) {
  if (!value) return -1;
  int r = py.PyDict_SetItemString(d, name, value);
  py.Py_DecRef(value);
  return r;
}

static PyObject *error_stream(int fd) {
  PyObject *make = gw_helper("error_stream");
  PyObject *n = py.PyLong_FromLong(fd);
  PyObject *s = make && n ? py.PyObject_CallFunctionObjArgs(make, n, NULL) : NULL;
  py.Py_DecRef(n);
  py.Py_DecRef(make);
  return s;
}

/* gw_set_base_environ makes the base of listener i of `listeners`; pairs holds
 * npairs names and texts. */
int gw_set_base_environ(uint32_t listeners, uint32_t i, char **pairs, int npairs,
                        int multithread, int multiprocess, int error_fd) {
  static PyObject *errors; /* one stream for all listeners */
  if (!base_environ) {
    base_environ = calloc(listeners, sizeof *base_environ);
    base_count = listeners;
    errors = error_stream(error_fd);
  }
  PyObject *d = py.PyDict_New();
  if (!base_environ || !d || !errors || i >= base_count) return -1;
  PyObject *version = py.PyTuple_New(2);
  if (!version || py.PyTuple_SetItem(version, 0, py.PyLong_FromLong(1)) != 0 ||
      py.PyTuple_SetItem(version, 1, py.PyLong_FromLong(0)) != 0)
    return -1;
  int r = set(d, "wsgi.version", version);
  r |= py.PyDict_SetItemString(d, "wsgi.errors", errors);
  r |= set(d, "wsgi.multithread", py.PyBool_FromLong(multithread));
  r |= set(d, "wsgi.multiprocess", py.PyBool_FromLong(multiprocess));
  r |= set(d, "wsgi.run_once", py.PyBool_FromLong(0));
  r |= set(d, "wsgi.input_terminated", py.PyBool_FromLong(1));
  r |= set(d, "wsgi.file_wrapper", gw_helper("FileWrapper"));
  r |= set(d, "wsgi.early_hints", gw_helper("early_hints"));
  r |= set(d, "gowsgi.client_disconnected", gw_helper("client_disconnected"));
  r |= set(d, "gunicorn.socket", gw_helper("client_socket"));
  r |= set(d, "wsgi.url_scheme", gw_str("http", 4));
  r |= set(d, "gowsgi.queue_time", py.PyFloat_FromDouble(0));
  r |= set(d, "REQUEST_METHOD", gw_str("GET", 3));
  r |= set(d, "QUERY_STRING", gw_str("", 0));
  r |= set(d, "SERVER_PROTOCOL", gw_str("HTTP/1.1", 8));
  for (int j = 0; j < npairs; j++)
    r |= set(d, pairs[2 * j], gw_str(pairs[2 * j + 1], strlen(pairs[2 * j + 1])));
  base_environ[i] = d;
  return r;
}

/* gw_thread_new allocates a thread's C side, zeroed; it lives as long as the
 * process. */
gw_thread *gw_thread_new(uint64_t index, uint32_t max_fields) {
  gw_thread *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->index = index;
  t->fields = calloc(max_fields ? max_fields : 1, sizeof *t->fields);
  t->headers_cap = 64;
  t->headers = calloc(t->headers_cap, sizeof *t->headers);
  t->seen = calloc(CACHE, sizeof *t->seen);
  t->names = calloc(CACHE, sizeof *t->names);
  return t->fields && t->headers && t->seen && t->names ? t : NULL;
}

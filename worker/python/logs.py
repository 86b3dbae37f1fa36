"""The server's own log lines through Python's logging, where a configuration asks
for it: logconfig, logconfig_dict, logconfig_json, logger_class.

It runs as the module _gowsgi_logs, in the spawner before the application is loaded,
and in the workers it forks. What workers log in Go arrives at Logs.line, and each
request at Logs.after, on the thread that ran it.
"""

import json
import logging
import logging.config
import os
import sys
import threading
import time

import _gowsgi
import _gowsgi_hooks

LEVELS = {"critical": 50, "error": 40, "warning": 30, "info": 20, "debug": 10}

# What a dictionary for dictConfig adds to or replaces, a whole key at a time
# (gunicorn: glogging.CONFIG_DEFAULTS).
CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": True},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": True},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stdout",
        },
        "error_console": {
            "class": "logging.StreamHandler",
            "formatter": "generic",
            "stream": "ext://sys.stderr",
        },
    },
    "formatters": {
        "generic": {
            "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
            "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
            "class": "logging.Formatter",
        }
    },
}


def _escape(value):
    """Keeps what a client sent from ending a quoted item or a line."""
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        value = value.encode("unicode_escape").decode("ascii")
    return value.replace('"', '\\"')


class SafeAtoms(dict):
    """Atoms of the access log: an unknown one is "-", {Name}i ignores case."""

    def __init__(self, atoms):
        super().__init__((name, _escape(value)) for name, value in atoms.items())

    def __getitem__(self, name):
        return self.get(name.lower() if name.startswith("{") else name, "-")


def _request_line(environ):
    if environ["REQUEST_METHOD"] == environ["SERVER_PROTOCOL"] == "-":
        return environ["RAW_URI"]  # whatever came instead of one
    return "%(REQUEST_METHOD)s %(RAW_URI)s %(SERVER_PROTOCOL)s" % environ


class Logger:
    """The default logger class, with what subclasses rely on (gunicorn:
    glogging.Logger)."""

    LOG_LEVELS = LEVELS
    loglevel = logging.INFO
    error_fmt = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = "[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg):
        self.error_log = logging.getLogger("gunicorn.error")
        self.error_log.propagate = False
        self.access_log = logging.getLogger("gunicorn.access")
        self.access_log.propagate = False
        self.error_handlers = []
        self.access_handlers = []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        error_format = logging.Formatter(self.error_fmt, self.datefmt)
        self._set_handler(self.error_log, cfg.errorlog, error_format)
        if cfg.accesslog is not None:
            access_format = logging.Formatter(self.access_fmt)
            self._set_handler(self.access_log, cfg.accesslog, access_format, stream=sys.stdout)
        if cfg.logconfig_dict:
            logging.config.dictConfig({**CONFIG_DEFAULTS, **cfg.logconfig_dict})
        elif cfg.logconfig_json:
            with open(cfg.logconfig_json, encoding="utf-8") as f:
                logging.config.dictConfig({**CONFIG_DEFAULTS, **json.load(f)})
        elif cfg.logconfig:
            path = os.path.abspath(cfg.logconfig)
            defaults = {"__file__": path, "here": os.path.dirname(path)}
            logging.config.fileConfig(
                cfg.logconfig, defaults=defaults, disable_existing_loggers=False
            )

    def _set_handler(self, log, output, fmt, stream=None):
        old = self._get_gunicorn_handler(log)
        if old:
            log.removeHandler(old)
        if output is None:
            return
        handler = logging.StreamHandler(stream) if output == "-" else logging.FileHandler(output)
        handler.setFormatter(fmt)
        handler._gunicorn = True
        log.addHandler(handler)

    def _get_gunicorn_handler(self, log):
        return next((h for h in log.handlers if getattr(h, "_gunicorn", False)), None)

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    def atoms(self, resp, req, environ, request_time):
        status = resp.status.split(None, 1)[0] if isinstance(resp.status, str) else resp.status
        micros = request_time.seconds * 1000000 + request_time.microseconds
        atoms = {
            "h": environ.get("REMOTE_ADDR", "-"),
            "l": "-",
            "u": self._get_user(environ) or "-",
            "t": self.now(),
            "r": _request_line(environ),
            "s": "-" if status is None else status,
            "m": environ.get("REQUEST_METHOD"),
            "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"),
            "H": environ.get("SERVER_PROTOCOL"),
            "b": str(resp.sent),
            "B": resp.sent,
            "f": environ.get("HTTP_REFERER", "-"),
            "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": request_time.seconds,
            "D": micros,
            "M": micros // 1000,
            "L": "%d.%06d" % divmod(micros, 1000000),
            "p": "<%s>" % os.getpid(),
            # Not gunicorn's: microseconds in the queue, and the outcome.
            "Q": int(environ.get("gowsgi.queue_time", 0) * 1000000),
            "X": getattr(resp, "outcome", "-"),
        }
        for form, fields in (("{%s}i", req.headers), ("{%s}o", resp.headers), ("{%s}e", environ.items())):
            atoms.update((form % name.lower(), value) for name, value in fields)
        return atoms

    @property
    def access_log_enabled(self):
        cfg = self.cfg
        return bool(cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json)

    def access(self, resp, req, environ, request_time):
        if not self.access_log_enabled:
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        self.access_log.info(self.cfg.access_log_format, atoms)

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self):
        for handler in _file_handlers():
            handler.acquire()
            try:
                if handler.stream:
                    handler.close()
                    handler.stream = handler._open()
            finally:
                handler.release()

    def close_on_exec(self):
        """Files that Python opens are, from the start."""

    def _get_user(self, environ):
        import base64

        scheme, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            return base64.b64decode(value.strip().encode()).split(b":", 1)[0].decode()
        except ValueError:
            return None


def _file_handlers():
    """Returns the FileHandlers of all loggers, each once."""
    names = list(logging.root.manager.loggerDict)
    found = []
    for log in [logging.root] + [logging.getLogger(name) for name in names]:
        for handler in log.handlers:
            if isinstance(handler, logging.FileHandler) and handler not in found:
                found.append(handler)
    return found


def _environ(told):
    """Returns the environ of a request that the application was not called for."""
    import io

    environ = {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if told["https"] else "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "SERVER_SOFTWARE": os.environ.get("SERVER_SOFTWARE", "gowsgi"),
        "SERVER_NAME": told["server"],
        "SERVER_PORT": told["server_port"],
        "REQUEST_METHOD": told["method"] or "-",
        "RAW_URI": told["target"],
        "PATH_INFO": told["path"] if told["method"] else "-",
        "QUERY_STRING": told["query"] if told["method"] else "-",
        "SERVER_PROTOCOL": told["version"] or "-",
        "SCRIPT_NAME": os.environ.get("SCRIPT_NAME", ""),
        "REMOTE_ADDR": told["addr"],
        "gowsgi.queue_time": told["queued"] / 1e6,
    }
    if told["port"]:
        environ["REMOTE_PORT"] = told["port"]
    for name, value in told["fields"]:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        environ[key] = environ[key] + "," + value if key in environ else value
    return environ


class _OfTheMaster(logging.Filter):
    """Has lines that are logged in the spawner be the master's, for which it stands."""

    def __init__(self, master):
        super().__init__()
        self.master = master
        self.spawner = os.getpid()

    def filter(self, record):
        if record.process == self.spawner:
            record.process = self.master
        return True


class Logs:
    """The logger of this process."""

    def __init__(self, settings, names, master):
        for name in ("gunicorn.error", "gunicorn.access"):  # not helper.py's
            log = logging.getLogger(name)
            log.handlers[:] = [h for h in log.handlers if type(h).__name__ != "ServerLog"]
        settings = dict(settings)
        if names.get("logconfig_dict"):  # as the file has it: JSON carries no classes
            settings["logconfig_dict"] = names["logconfig_dict"]
        # The server sees to these itself. User and group are numbers in a cfg.
        settings.update(
            capture_output=False, syslog=False, statsd_host=None, user=os.geteuid(), group=os.getegid()
        )
        cfg = _gowsgi_hooks.Request.cfg = _gowsgi_hooks.Config(settings, {})
        self.logger = _gowsgi_hooks.logger_class(settings["logger_class"])(cfg)
        logging.getLogger("gunicorn.error").addFilter(_OfTheMaster(master))
        rules = settings.get("access_log_exclude") or []
        self.quiet = frozenset(r for r in rules if not r.endswith("*"))
        self.quiet_below = tuple(r[:-1] for r in rules if r.endswith("*"))
        self.hooked = (None, None)
        _gowsgi.feed = self.line

    def line(self, level, text):
        """Takes a line of the server's, a request that no Python code ran to its end,
        or without a level the news that files were moved away."""
        try:
            if level == "request":
                self.unserved(json.loads(text))
            elif level:
                getattr(self.logger, level)(text.decode("utf-8", "replace"))
            else:
                self.logger.reopen_files()
        except Exception:
            self._broken()

    def watch(self, before, after):
        """Has each request logged, within the hooks of the configuration file."""
        self.hooked = (before, after)
        _gowsgi.set_request_hooks(self.before, self.after)

    def before(self, environ):
        before = self.hooked[0]
        request = before(environ) if before else _gowsgi_hooks.Request(environ)
        request.began = time.monotonic()
        return request

    def after(self, request, environ, status, headers, code, sent, outcome):
        if outcome:  # else it is logged already
            self._served(
                request or _gowsgi_hooks.Request(environ), environ, status, headers, code, sent, outcome
            )
        if self.hooked[1]:
            self.hooked[1](request, environ, status, headers, code, sent, outcome)

    def _served(self, request, environ, status, headers, code, sent, outcome):
        if outcome == "ok" and code < 400:
            if request.path in self.quiet or request.path.startswith(self.quiet_below):
                return
        taken = time.monotonic() - getattr(request, "began", time.monotonic())
        response = _gowsgi_hooks.Response(
            request, _gowsgi_hooks.status_line(code, status), headers, sent
        )
        response.outcome = outcome
        self._access(response, request, environ, taken)

    def unserved(self, told):
        """Logs a request of which there is no more than what ipc.LoggedRequest says."""
        environ = _environ(told)
        request = _gowsgi_hooks.Request(environ)
        status = _gowsgi_hooks.status_line(told["status"], None)
        response = _gowsgi_hooks.Response(request, status, [], told["sent"])
        response.outcome = told["outcome"]
        self._access(response, request, environ, told["taken"] / 1e6)

    def _access(self, response, request, environ, seconds):
        from datetime import timedelta

        try:
            self.logger.access(response, request, environ, timedelta(seconds=seconds))
        except Exception:
            self._broken()

    def _broken(self):
        """Reports a logger that raises where it does no harm."""
        import traceback

        traceback.print_exc()

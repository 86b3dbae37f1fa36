"""Writes commandlines.txt: what gunicorn makes of command lines.

Run it with a Python that has gunicorn, in this directory:

    python commandlines.py > commandlines.txt

Each block of the result is a command line (in JSON, as a list), then either
"exit N: last line of standard error" or the settings that are not at their
default, as --print-config shows them.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.config import Config

# Command lines that start a server, or were meant to.
LINES = r"""
app
app -w 4
-w 4 app
-w4 app
-w=4 app
-w 4 -w 5 app
--workers 4 app
--workers=4 app
--workers=0x10 app
-w 0 app
app --workers=4 other
-b :9 app
-b:9 app
-b=:9 app
-b 127.0.0.1:9 -b [::1]:9 app
--bind :9 --bind unix:/tmp/x.sock app
--bind=unix:x app -b :1
app -b 0.0.0.0:8000 --threads 4 -k gthread
--time 7 app
--timeo=7 app
-t7 app
--grace 3 app
--keep 75 app
--max-requests 100 --max-requests-jitter 10 app
--max-requests 100 app
--max-requests-j 10 app
--log-l debug app
--log-level=debug app
--log-fi /tmp/x app
--log-file - app
--log-file=- app
--error-log /tmp/x app
--access-logfi - app
--access-logfile=- app
--access-logfile - --access-logformat %(h)s app
-e A=1 app
-e A=1 -e B=2=3 app
--env A=1 --env=B= app
-eA=1 app
-n name app
-nname app
--name=a:b app
--name app
-p /tmp/x.pid app
--pid /tmp/x.pid app
--pi /tmp/x.pid app
--chdir / app
--chdir=/ app
--pythonpath /a,/b app
--pythonp /a app
--limit-request-line 100 app
--limit-request-fields 7 app
--limit-request-field_size 100 app
--limit-request-field_si 100 app
--limit-request-field 7 app
--reuse-port app
--reuse app
app --reuse-port
--backlog 5 app
--threads 0 app
-- app
-w 2 -- app
app -- -w 2
-w 2 -- -x app
a.b:c
app:make()
app:make("x",1)
app extra words here
-w
-w abc app
-w 1.5 app
-w -1 app
-w= app
--workers= app
-w -- app
--workers --threads 4 app
--bogus app
-Z app
-w4x app
-wb app
--worker 4 app
--max 4 app
--log app
--no app
--version
-v
--threads two app
--timeout -1 app
--timeout 1e3 app
--backlog 0b11 app
--print-config=1 app
--reuse-port=1 app
-t 5 --timeout 6 app
-k sync app
--worker-class=gthread app
-kgthread app
--check-config
"""
SPACED = [
    ["--name", "a b", "app"],
    ["--access-logformat", '%(h)s "%(r)s"', "app"],
    ["-e", "A=b c", "app"],
    ["-b", " :9 ", "app"],
    ["--name", "-x y", "app"],
    ["--name", "-x", "app"],
    ["--name", "-5", "app"],
    ["--name=", "app"],
    ["-n", "", "app"],
    ["--chdir", "", "app"],
    ["-p", "", "app"],
    [""],
    ["app", ""],
]
# What gowsgi does not look at.
IGNORED = {"default_proc_name", "check_config", "print_config"}


def settings(cfg):
    return {k: str(s.get()) for k, s in cfg.settings.items() if k not in IGNORED}


def outcome(args):
    sys.argv = ["gunicorn"] + args
    err = io.StringIO()
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            app = WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]")
    except SystemExit as e:
        lines = err.getvalue().strip().splitlines() or [""]
        return ["exit %s: %s" % (e.code, lines[-1])]
    default = settings(Config())
    values = settings(app.cfg)
    return ["wsgi_app = %s" % app.app_uri] + [
        "%s = %s" % (k, values[k]) for k in sorted(values) if values[k] != default[k]
    ]


def main():
    for name in ("PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "FORWARDED_ALLOW_IPS", "PWD"):
        os.environ.pop(name, None)
    os.chdir(tempfile.mkdtemp())
    for args in [line.split() for line in LINES.strip().splitlines()] + SPACED:
        print(json.dumps(args))
        for line in outcome(args):
            print("\t" + line)
        sys.stdout.flush()
        os.chdir(tempfile.mkdtemp())


main()

"""Says whom it runs as, now and when it was imported."""
import json
import os


def try_to(what, *args):
    try:
        what(*args)
        return "done"
    except OSError as e:
        return type(e).__name__


def ids():
    threads = []
    for task in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/status" % task) as f:
            lines = dict(line.split(":", 1) for line in f)
        threads.append([lines[key].split() for key in ("Uid", "Gid")])
    return {
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "threads": threads,
        "cwd": os.getcwd(),
    }


AT_IMPORT = ids()


def application(environ, start_response):
    body = json.dumps({
        "import": AT_IMPORT,
        "now": ids(),
        "setuid": try_to(os.setuid, 0),
        "setgid": try_to(os.setgid, 0),
        "setgroups": try_to(os.setgroups, [0]),
        "secret": try_to(open, "/etc/shadow"),
    }).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

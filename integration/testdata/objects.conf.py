"""Asks the objects of hooks for all that gunicorn's have, and writes what is wrong."""

import os
import signal

wsgi_app = "hello:application"
raw_env = ["OBJECTS=here"]
pidfile = os.environ["OBJECTS_PID"]
threads = 2
max_requests = 1000


def check(where, **facts):
    with open(os.environ["OBJECTS_LOG"], "a") as log:
        print(where, *(name for name, fact in facts.items() if not fact), file=log)


def refuses(function, *args):
    try:
        function(*args)
    except (RuntimeError, AttributeError) as e:
        return str(e)
    return ""


def check_cfg(where, cfg):
    check(
        where,
        uid=cfg.uid == cfg.user == os.geteuid(),
        gid=cfg.gid == cfg.group,
        env=cfg.env == {"OBJECTS": "here"},
        is_ssl=cfg.is_ssl is False,
        ssl_options="certfile" in cfg.ssl_options,
        worker_class_str=cfg.worker_class_str == "gthread",
        address=isinstance(cfg.address[0], tuple),
        sendfile=cfg.sendfile is True,
        logger_class=hasattr(cfg.logger_class, "critical"),
        networks=str(cfg.forwarded_allow_networks()[0]) == "127.0.0.1/32",
        settings=cfg.settings["threads"].get() == 2,
        undefined=cfg.pre_exec is not None and cfg.certfile is None and cfg.spew is False,
        text="threads" in str(cfg) and "<post_fork()>" in str(cfg),
        invalid=bool(refuses(setattr, cfg, "threads", 3)),
        unknown=bool(refuses(cfg.set, "nosuch", 1)),
    )


def when_ready(server):
    listener = server.LISTENERS[0]
    check_cfg("cfg", server.cfg)
    check(
        "when_ready",
        url=str(listener).startswith("http://127.0.0.1:"),
        port=listener.getsockname()[1] > 0,
        no_socket="LISTENERS" in refuses(listener.fileno),
        pidfile=server.pidfile.fname == pidfile and server.pidfile.pid == server.pid,
        on_disk=int(open(pidfile).read()) == server.pid,
        timeout=server.timeout == server.cfg.timeout,
        proc_name=server.proc_name == "hello:application",
        context=server.START_CTX["cwd"] and server.START_CTX["args"],
        spawn_worker="spawn_worker" in refuses(getattr, server, "spawn_worker"),
        halt="exit status" in refuses(server.halt, None, 3),
    )
    server.num_workers += 1


def nworkers_changed(server, new, old):
    check("nworkers_changed %s %s" % (new, old))


def on_reload(server):
    check("on_reload", workers=server.num_workers == 1)


def post_fork(server, worker):
    check(
        "post_fork",
        socket=worker.sockets[0].getsockname() == worker.sockets[0].sock.getsockname(),
        fileno=worker.sockets[0].fileno() > 2,
        max_requests=worker.max_requests == 1000,
        state=(worker.booted, worker.aborted, worker.alive, worker.nr) == (False, False, True, 0),
        known=worker.timeout == server.timeout / 2 and worker.ppid == server.pid,
    )


def post_worker_init(worker):
    check("post_worker_init", booted=worker.booted, app=worker.app.callable is worker.wsgi)


def post_request(worker, req, environ, resp):
    if req.path == "/reload":
        os.kill(worker.ppid, signal.SIGHUP)
    check(
        "post_request " + req.path,
        nr=worker.nr > 0,
        version=req.version == (1, 1) and req.fragment == "" and req.trailers == [],
        limits=(req.limit_request_line, req.limit_request_fields, req.limit_request_field_size) == (4094, 100, 8190),
        addresses=req.peer_addr == req.remote_addr and req.remote_addr[0] == "127.0.0.1",
        proxy=req.proxy_protocol_info is None,
        close=req.should_close() is (dict(req.headers).get("CONNECTION") == "close") and resp.should_close() is req.should_close(),
        body=req.body is environ["wsgi.input"],
        response=(resp.status, resp.status_code, resp.headers_sent, resp.sent) == ("200 OK", 200, True, 11),
        length=resp.response_length in (None, 11) and resp.req is req and not resp.upgrade,
    )


def child_exit(server, worker):
    check("child_exit", gone=worker.pid not in server.WORKERS)

# The proxy in front of the dyno opens its port when this file is there.
import os


def when_ready(server):
    open(os.environ["APP_INITIALIZED"], "w").close()


def pre_request(worker, req):
    worker.log.debug("%s %s", req.method, req.path)


def post_request(worker, req, environ, resp):
    if not req.path.startswith("/health"):
        worker.log.info("%s %s %s", req.method, req.uri, resp.status_code)


wsgi_app = "app:application"
forwarded_allow_ips = "*"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}

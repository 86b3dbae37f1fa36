"""What the image's test serves: the Flask example, and two other applications of the
tests under /wait and /orphan."""

import orphans
import probe
from flask_app import flask_app


def application(environ, start_response):
    served = {"/wait": probe.application, "/orphan": orphans.application}.get(environ["PATH_INFO"], flask_app)
    return served(environ, start_response)

import os

state = {}


def initialize(path, environment):
    state["initialized"] = os.getpid()


def register_application(timeout):
    assert state["initialized"] != os.getpid()
    state["registered"] = os.getpid()


def shutdown_agent(timeout):
    assert state["registered"] == os.getpid()


class WSGIApplicationWrapper:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        environ["newrelic.wrapped"] = state["registered"]
        return self.application(environ, start_response)

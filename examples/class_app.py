"""A WSGI application with state: an instance whose class has __call__.

    gowsgi class_app:application
"""

import os


class Greeter:
    def __init__(self, greeting):
        self.greeting = greeting
        self.calls = 0

    def __call__(self, environ, start_response):
        self.calls += 1
        name = environ["PATH_INFO"].strip("/") or "world"
        text = "%s, %s! (call %d of process %d)\n" % (
            self.greeting,
            name,
            self.calls,
            os.getpid(),
        )
        # PATH_INFO holds bytes as latin-1 text (PEP 3333), so this gives the
        # bytes of the name back as they came.
        body = text.encode("latin-1")
        start_response(
            "200 OK",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
            ],
        )
        return [body]


application = Greeter("Hello")

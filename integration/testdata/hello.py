"""Every form an application can have; each answers with its own name."""


def answer(start_response, text):
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    return answer(start_response, "application")


def app(environ, start_response):
    return answer(start_response, "app")


class Callable:
    def __init__(self, name):
        self.name = name

    def __call__(self, environ, start_response):
        return answer(start_response, self.name)

    def method(self, environ, start_response):
        return answer(start_response, self.name + ".method")


instance = Callable("instance")
bound = instance.method


class Iterable:
    """PEP 3333's class form: calling the class gives the iterable."""

    def __init__(self, environ, start_response):
        self.start_response = start_response

    def __iter__(self):
        return iter(answer(self.start_response, "class"))


def factory(*args, **kwargs):
    words = [repr(a) for a in args] + ["%s=%r" % item for item in sorted(kwargs.items())]
    return Callable("factory(%s)" % ", ".join(words))


def needs_one(a):
    return Callable(a)


def gives_none():
    return None


none = None
text = "not callable"

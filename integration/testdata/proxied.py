"""What the tests with a proxy in front ask for: small and large, both ways."""

import json

LARGE = b"0123456789abcdef" * (300 * 64)  # 300 KiB
SHOWN = (
    "REMOTE_ADDR", "REMOTE_PORT", "SCRIPT_NAME", "PATH_INFO", "wsgi.url_scheme", "PROXY_PROTOCOL", "HTTP_HOST",
    "HTTP_X_FORWARDED_FOR", "HTTP_SCRIPT_NAME", "HTTP_FORWARDED", "HTTP_X_FORWARDED_SSL", "HTTP_CONNECTION",
)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        body = b"%d" % len(environ["wsgi.input"].read())
    elif path == "/large":
        body = LARGE
    elif path == "/environ":
        body = json.dumps({k: environ[k] for k in SHOWN if k in environ}).encode()
    else:
        body = b"small"
    if path == "/parts":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (body for _ in range(3))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

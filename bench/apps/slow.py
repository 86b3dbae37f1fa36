"""The application of bench/slow."""

HELLO = b"Hello, World!"
MIB1 = b"0123456789abcdef" * (1024 * 1024 // 16)


def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    headers = [("Content-Type", "text/plain")]
    if path == "/file":
        f = open(query, "rb")
        f.seek(0, 2)
        start_response("200 OK", headers + [("Content-Length", str(f.tell()))])
        f.seek(0)
        if "wsgi.file_wrapper" not in environ:  # as frameworks do then
            return iter(lambda: f.read(65536), b"")
        return environ["wsgi.file_wrapper"](f, 65536)
    if path == "/many":
        start_response("200 OK", headers + [("Content-Length", str(int(query) << 20))])
        return (MIB1[:65536] for _ in range(int(query) * 16))
    if path == "/count":
        size = 0
        while True:
            part = environ["wsgi.input"].read(65536)
            if not part:
                break
            size += len(part)
        body = b"%d" % size
    elif path == "/mib":
        body = MIB1
    else:
        body = HELLO
    start_response("200 OK", headers + [("Content-Length", str(len(body)))])
    return [body]

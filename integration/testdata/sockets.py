"""Uses the client's connection itself, as websocket libraries do."""


def application(environ, start_response):
    sock = environ["gunicorn.socket"]
    if environ["PATH_INFO"] == "/look":
        body = ("%s %s" % (sock.getpeername()[1] == int(environ["REMOTE_PORT"]), sock.fileno() > 2)).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    own = sock.dup()
    own.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    while True:
        data = own.recv(100)
        if not data or data == b"end":
            break
        own.sendall(data.upper())
    own.close()
    raise StopIteration  # as flask-sock ends a request under gunicorn

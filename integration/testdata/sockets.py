"""Uses the client's connection itself, as websocket libraries do."""

import threading
import time


def threaded(sock):
    """As simple-websocket does: one thread sends, another receives."""
    sock.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    words = []
    came = threading.Event()

    def receive():
        while b"end" not in words:
            words.append(sock.recv(100))
            came.set()

    receiver = threading.Thread(target=receive)
    receiver.start()
    while b"end" not in words:
        came.wait(10)
        came.clear()
        sock.sendall(words[-1].upper())
    receiver.join()
    raise StopIteration


def application(environ, start_response):
    sock = environ["gunicorn.socket"]
    if environ["PATH_INFO"] == "/look":
        body = ("%s %s" % (sock.getpeername()[1] == int(environ["REMOTE_PORT"]), sock.fileno() > 2)).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if environ["PATH_INFO"] == "/threaded":
        return threaded(sock)
    own = sock.dup()
    own.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    while True:
        data = own.recv(100)
        if not data or data == b"end":
            break
        own.sendall(data.upper())
    own.close()
    raise StopIteration  # as flask-sock ends a request under gunicorn

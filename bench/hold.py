"""Holds idle connections: hold.py HOST PORT N.

Each is served one request and then kept. Prints "held" when all are; when its
input ends it prints how many of them the server has closed meanwhile.
"""

import socket
import sys

BURST = 64
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def burst(host, port, n):
    """n connections that were opened together and have been served once."""
    new = [socket.create_connection((host, port), timeout=30) for _ in range(n)]
    for s in new:
        s.sendall(REQUEST)
    for s in new:
        answer = b""
        while b"Hello, World!" not in answer:
            part = s.recv(4096)
            if not part:
                sys.exit(f"the server closed a connection after {answer[:80]!r}")
            answer += part
    return new


def is_closed(s):
    s.setblocking(False)
    try:
        return s.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def main():
    host, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    held = []
    try:
        while len(held) < n:
            held += burst(host, port, min(BURST, n - len(held)))
    except OSError as e:
        sys.exit(f"after {len(held)} connections: {e}")
    print("held", flush=True)
    sys.stdin.read()
    print(sum(map(is_closed, held)))


main()

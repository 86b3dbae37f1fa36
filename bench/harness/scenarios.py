"""The scenarios. A row says what is asked; the harness does the rest."""

from __future__ import annotations

from dataclasses import dataclass

HELLO = 13
MIB = 1 << 20

# What a browser's page load looks like behind a reverse proxy: 16 fields with
# the Host wrk sends.
BROWSER = (
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Referer", "https://www.example.com/articles/2024/a-page-that-links-here?page=2"),
    ("Cookie", "sessionid=4f1c0d9e8b7a6f5e4d3c2b1a09182736; csrftoken=Zk3xJ9qLw8; theme=dark"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("Priority", "u=0, i"),
    ("X-Forwarded-For", "203.0.113.195"),
    ("X-Forwarded-Proto", "https"),
    ("X-Real-IP", "203.0.113.195"),
)


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    app: str  # MODULE:VARIABLE in apps/
    length: int  # bytes of content a right answer has
    connections: int = 32
    workers: int = 1
    threads: int = 1
    method: str = "GET"
    body: int = 0  # bytes of content a request has
    headers: tuple = ()
    # Connections that ask for /slow all the time while the others are timed.
    slow: int = 0

    @property
    def answer(self):
        """The content a right answer has, or None if only its length is known."""
        if self.body:
            return str(self.body).encode()
        return b"Hello, World!" if self.length == HELLO else None


def _hello(name, title, app):
    return [
        Scenario(f"{name}-c{c}", f"{title}, 1 worker, {c} keep-alive connection{'s' * (c > 1)}",
                 app, HELLO, connections=c)
        for c in (1, 32, 256)
    ]


def _upload(name, title, size):
    return Scenario(name, title, "plain:upload", len(str(size)), method="POST", body=size)


SCENARIOS = [
    *_hello("hello", "hello", "plain:hello"),
    *_hello("flask", "Flask hello", "flaskapp:app"),
    *_hello("django", "Django hello", "djangoapp:application"),
    Scenario("newconn", "hello, new connection per request, 32 at a time", "plain:hello", HELLO,
             headers=(("Connection", "close"),)),
    Scenario("browser", "hello, the 16 headers of a browser behind a proxy", "plain:hello", HELLO,
             headers=BROWSER),
    Scenario("down10k", "10 KiB down", "plain:down10k", 10240),
    Scenario("down1m", "1 MiB down", "plain:down1m", MIB),
    _upload("up10k", "10 KiB up", 10240),
    _upload("up1m", "1 MiB up", MIB),
    Scenario("stream", "generator, 16 chunks of 4 KiB, no length", "plain:stream", 65536),
    Scenario("file", "1 MiB file by wsgi.file_wrapper", "plain:file", MIB),
    Scenario("mixed", "4 workers, 8 connections beside 3 that always wait 100 ms", "plain:mixed",
             HELLO, connections=8, workers=4, slow=3),
    Scenario("sleep", "application waits 10 ms, 4 threads (400/s is the limit)", "plain:sleep10",
             HELLO, threads=4),
]

QUICK = ("hello-c32", "flask-c32", "newconn")


def select(patterns):
    """The scenarios whose name is, or begins with, one of patterns; all without
    patterns. ValueError names a pattern that fits none."""
    chosen = []
    for pattern in patterns:
        fits = [s for s in SCENARIOS if s.name == pattern] or [
            s for s in SCENARIOS if s.name.startswith(pattern)
        ]
        if not fits:
            raise ValueError(f"no scenario {pattern!r}; there are " +
                             " ".join(s.name for s in SCENARIOS))
        chosen += fits
    return [s for s in SCENARIOS if s in chosen] if patterns else list(SCENARIOS)

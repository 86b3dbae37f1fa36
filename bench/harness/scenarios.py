"""The scenarios. A row says what is asked; the harness does the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

HELLO = b"Hello, World!"
KIB, MIB = 1 << 10, 1 << 20

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
    answer: bytes = HELLO  # the content a right answer has
    connections: int = 32
    workers: int = 1
    threads: int = 1
    method: str = "GET"
    body: int = 0  # bytes of content a request has
    headers: tuple = ()
    # Connections that ask for /slow all the time while the others are timed.
    slow: int = 0
    # Connections that have been served once and are kept, without a request.
    idle: int = 0
    access_log: bool = False
    # What the cost of this scenario's feature is measured against; the server
    # called baseline runs `plain` then. Empty: there is no such server.
    baseline: str = ""

    @property
    def needs(self):
        """The features a server must have to take part."""
        wanted = {"threads": self.threads > 1, "access log": self.access_log,
                  "idle connections": self.idle > 0}
        return {name for name, yes in wanted.items() if yes}

    @property
    def plain(self):
        """The scenario without its feature."""
        return replace(self, threads=1, idle=0, access_log=False)


def _hello(name, title, app):
    return [
        Scenario(f"{name}-c{c}", f"{title}, 1 worker, {c} keep-alive connection{'s' * (c > 1)}",
                 app, connections=c)
        for c in (1, 32, 256)
    ]


def _pattern(size):
    """What apps/plain.py and the served file consist of."""
    return b"0123456789abcdef" * (size // 16)


def _upload(name, title, size):
    return Scenario(name, title, "plain:upload", b"%d" % size, method="POST", body=size)


SCENARIOS = [
    *_hello("hello", "hello", "plain:hello"),
    *_hello("flask", "Flask hello", "flaskapp:app"),
    *_hello("django", "Django hello", "djangoapp:application"),
    Scenario("newconn", "hello, new connection per request, 32 at a time", "plain:hello",
             headers=(("Connection", "close"),)),
    Scenario("browser", "hello, the 16 headers of a browser behind a proxy", "plain:hello",
             headers=BROWSER),
    Scenario("down10k", "10 KiB down", "plain:down10k", _pattern(10 * KIB)),
    Scenario("down1m", "1 MiB down", "plain:down1m", _pattern(MIB)),
    _upload("up10k", "10 KiB up", 10 * KIB),
    _upload("up1m", "1 MiB up", MIB),
    Scenario("stream", "generator, 16 chunks of 4 KiB, no length", "plain:stream",
             _pattern(64 * KIB)),
    Scenario("file", "1 MiB file by wsgi.file_wrapper", "plain:file", _pattern(MIB)),
    Scenario("mixed", "4 workers, 8 connections beside 3 that always wait 100 ms", "plain:mixed",
             connections=8, workers=4, slow=3),
    Scenario("sleep", "application waits 10 ms, 4 threads (400/s is the limit)", "plain:sleep10",
             threads=4),
    Scenario("threads", "hello, 4 threads", "plain:hello", threads=4,
             baseline="gowsgi with 1 thread"),
    Scenario("accesslog", "hello, access log to a file", "plain:hello", access_log=True,
             baseline="gowsgi without access log"),
    Scenario("idle", "4 workers, 32 active connections beside 10,000 idle ones", "plain:hello",
             workers=4, idle=10_000, baseline="gowsgi without idle connections"),
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

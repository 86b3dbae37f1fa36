package python_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"gowsgi/internal/gowsgitest"
	"gowsgi/internal/pyfind"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// Benchmarks need an interpreter in this process, so with -bench the test binary
// hosts one: the tests then run in that one only.

// hostBenchmarks hosts the first interpreter that is installed here.
func hostBenchmarks(run func() int) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path := ""
	for _, i := range gowsgitest.Pythons() {
		if i.Supported() {
			path = i.Path
			break
		}
	}
	p, err := pyfind.Find(ctx, ipc.Wanted{Python: path, Dir: "/"}, os.Getenv, nil)
	if err == nil {
		err = os.Chdir("testdata")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return host(p, run)
}

// browserHead is what a browser sends through a proxy.
const browserHead = "GET /shop/cart?item=4711&ref=mail HTTP/1.1\r\n" +
	"Host: www.example.org\r\n" +
	"X-Forwarded-For: 203.0.113.7\r\n" +
	"X-Forwarded-Proto: https\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.org/shop/\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; csrftoken=fedcba9876543210fedcba9876543210\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Sec-Fetch-Dest: document\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Priority: u=0, i\r\n" +
	"Connection: keep-alive\r\n" +
	"\r\n"

// BenchmarkCall is what a request costs between parser and socket: the environ,
// a trivial application, its start_response and its one part.
func BenchmarkCall(b *testing.B) {
	if err := embedded.load("apps", "function"); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, head string }{
		{"minimal", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"browser", browserHead},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := embedded.main
			r.recorder = &recorder{deaf: true}
			buf := r.mem[:copy(r.mem, c.head)]
			r.py.Head.Reset()
			if err := r.py.Head.Parse(buf, &r.rules); err != nil {
				b.Fatal(err)
			}
			q := &python.Request{Buf: buf, PathInfo: r.py.Head.Path.Of(buf)}
			b.ReportAllocs()
			result := python.Done
			embedded.do(func() {
				for b.Loop() {
					result = max(result, r.py.Call(q))
				}
			})
			if result != python.Done {
				b.Fatalf("got %d", result)
			}
		})
	}
}

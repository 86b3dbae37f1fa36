package http1

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// minimalHead is the least an HTTP/1.1 client may send.
const minimalHead = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// browserHead is what a browser sends, as a proxy passes it on: 16 fields.
const browserHead = "GET /shop/cart?item=4711&ref=mail HTTP/1.1\r\n" +
	"Host: www.example.org\r\n" +
	"X-Real-IP: 203.0.113.7\r\n" +
	"X-Forwarded-For: 203.0.113.7\r\n" +
	"X-Forwarded-Proto: https\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: de,en-US;q=0.7,en;q=0.3\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://www.example.org/shop/\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; csrftoken=fedcba9876543210fedcba9876543210; theme=dark\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Sec-Fetch-Dest: document\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Priority: u=0, i\r\n" +
	"Connection: keep-alive\r\n" +
	"\r\n"

// headParser is what a connection has for heads.
type headParser struct {
	rules Rules
	scan  HeadScanner
	req   Request
}

func newHeadParser() *headParser {
	rules := Rules{Limits: defaultLimits.Normalize()}
	return &headParser{rules: rules, req: Request{Fields: make([]Field, 0, rules.Fields)}}
}

// head scans and parses buf, which begins with a complete head.
func (p *headParser) head(buf []byte) *Error {
	p.scan.Reset()
	n, err := p.scan.Scan(buf, &p.rules)
	if err != nil {
		return err
	}
	return p.req.Parse(buf[:n], &p.rules)
}

func BenchmarkHead(b *testing.B) {
	for _, c := range []struct{ name, head string }{
		{"minimal", minimalHead},
		{"browser", browserHead},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, buf := newHeadParser(), []byte(c.head)
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if err := p.head(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// chunkedContent is content of n chunks of size bytes.
func chunkedContent(size, n int) []byte {
	one := strconv.FormatInt(int64(size), 16) + "\r\n" + strings.Repeat("x", size) + "\r\n"
	return []byte(strings.Repeat(one, n) + "0\r\n\r\n")
}

func BenchmarkChunked(b *testing.B) {
	for _, c := range []struct {
		name  string
		chunk int
	}{
		{"chunks of 16", 16},
		{"chunks of 4096", 4096},
	} {
		b.Run(c.name, func(b *testing.B) {
			src := chunkedContent(c.chunk, 65536/c.chunk)
			dst := make([]byte, 65536)
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				var d ChunkDecoder
				if n, _, done, err := d.Decode(dst, src); n != len(dst) || !done || err != nil {
					b.Fatal(n, done, err)
				}
			}
		})
	}
}

func BenchmarkAppendUnescaped(b *testing.B) {
	path := bytes.Repeat([]byte("/caf%C3%A9"), 4)
	dst := make([]byte, 0, len(path))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendUnescaped(dst[:0], path)
	}
}

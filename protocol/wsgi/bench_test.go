package wsgi

import "testing"

// typical is the head of an ordinary page, as a framework gives it.
type typical struct {
	resp    Response
	status  []byte
	headers [][2][]byte
	common  []byte
	out     []byte
}

func newTypical() *typical {
	p := &typical{
		status: []byte("200 OK"),
		common: []byte("Server: gowsgi\r\nDate: Mon, 23 Nov 2026 01:11:25 GMT\r\n"),
	}
	for _, h := range [][2]string{
		{"Content-Type", "text/html; charset=utf-8"},
		{"X-Frame-Options", "DENY"},
		{"Content-Length", "2345"},
		{"Vary", "Cookie, Accept-Language"},
		{"Content-Language", "en"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "same-origin"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Set-Cookie", "csrftoken=fedcba9876543210fedcba9876543210; expires=Mon, 22 Nov 2027 01:11:25 GMT; Max-Age=31449600; Path=/; SameSite=Lax"},
	} {
		p.headers = append(p.headers, [2][]byte{[]byte(h[0]), []byte(h[1])})
	}
	return p
}

// head makes the head as one call of an application does.
func (p *typical) head() []byte {
	p.resp.Reset(1, get, false)
	reason := p.resp.SetStatus(p.status)
	for i := range p.headers {
		reason += p.resp.AddHeader(p.headers[i][0], p.headers[i][1])
	}
	if reason != "" {
		panic(reason)
	}
	p.out = p.resp.AppendHead(p.out[:0], p.common, p.resp.Frame(2345), true)
	return p.out
}

func BenchmarkHead(b *testing.B) {
	p := newTypical()
	b.ReportAllocs()
	b.SetBytes(int64(len(p.head())))
	for b.Loop() {
		p.head()
	}
}

func BenchmarkMinimalHead(b *testing.B) {
	p := newTypical()
	p.headers = p.headers[:1]
	b.ReportAllocs()
	b.SetBytes(int64(len(p.head())))
	for b.Loop() {
		p.head()
	}
}

func BenchmarkHeader(b *testing.B) {
	p := newTypical()
	p.head()
	b.ReportAllocs()
	for b.Loop() {
		if p.resp.Header("set-cookie") == nil {
			b.Fatal("no header")
		}
	}
}

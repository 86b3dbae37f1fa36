package wsgi

import "strings"

// owner says whose a header is.
type owner uint8

const (
	application owner = iota
	contentLength
	server
	// The rest are hop-by-hop, in the order of HopByHop.
	hopConnection
	hopKeepAlive
	hopProxyAuthenticate
	hopProxyAuthorization
	hopTE
	hopTrailer
	hopTrailers
	hopTransferEncoding
	hopUpgrade
)

// HopByHop is a set of hop-by-hop headers (PEP 3333, Other HTTP Features; RFC
// 9110, 7.6.1), a bit for each.
type HopByHop uint32

// String returns the names, separated by commas.
func (h HopByHop) String() string {
	names := [...]string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"TE", "Trailer", "Trailers", "Transfer-Encoding", "Upgrade",
	}
	var in []string
	for i, name := range names {
		if h&(1<<i) != 0 {
			in = append(in, name)
		}
	}
	return strings.Join(in, ", ")
}

// ownership looks at the length first: most names end there.
func ownership(name []byte) owner {
	switch len(name) {
	case len("TE"):
		return ifFold(name, "te", hopTE)
	case len("Date"):
		return ifFold(name, "date", server)
	case len("Server"):
		return ifFold(name, "server", server)
	case len("Trailer"):
		return max(ifFold(name, "trailer", hopTrailer), ifFold(name, "upgrade", hopUpgrade))
	case len("Trailers"):
		return ifFold(name, "trailers", hopTrailers)
	case len("Connection"):
		return max(ifFold(name, "connection", hopConnection), ifFold(name, "keep-alive", hopKeepAlive))
	case len("Content-Length"):
		return ifFold(name, "content-length", contentLength)
	case len("Transfer-Encoding"):
		return ifFold(name, "transfer-encoding", hopTransferEncoding)
	case len("Proxy-Authenticate"):
		return ifFold(name, "proxy-authenticate", hopProxyAuthenticate)
	case len("Proxy-Authorization"):
		return ifFold(name, "proxy-authorization", hopProxyAuthorization)
	}
	return application
}

// ifFold returns o if name is s, without regard to case, else application.
func ifFold(name []byte, s string, o owner) owner {
	if equalFold(name, s) {
		return o
	}
	return application
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// equalFold compares ASCII without regard to case; lower or mixed case in s.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c + 'a' - 'A'
	}
	return c
}

// token reports whether b consists of tchar only (RFC 9110, 5.6.2).
func token(b []byte) bool {
	for _, c := range b {
		if !tchar[c] {
			return false
		}
	}
	return true
}

// fieldValue reports whether b holds no control character but tab (RFC 9110, 5.5).
func fieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

var tchar = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

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
		if equalFold(name, "te") {
			return hopTE
		}
	case len("Date"):
		if equalFold(name, "date") {
			return server
		}
	case len("Server"):
		if equalFold(name, "server") {
			return server
		}
	case len("Trailer"):
		if equalFold(name, "trailer") {
			return hopTrailer
		}
		if equalFold(name, "upgrade") {
			return hopUpgrade
		}
	case len("Trailers"):
		if equalFold(name, "trailers") {
			return hopTrailers
		}
	case len("Connection"):
		if equalFold(name, "connection") {
			return hopConnection
		}
		if equalFold(name, "keep-alive") {
			return hopKeepAlive
		}
	case len("Content-Length"):
		if equalFold(name, "content-length") {
			return contentLength
		}
	case len("Transfer-Encoding"):
		if equalFold(name, "transfer-encoding") {
			return hopTransferEncoding
		}
	case len("Proxy-Authenticate"):
		if equalFold(name, "proxy-authenticate") {
			return hopProxyAuthenticate
		}
	case len("Proxy-Authorization"):
		if equalFold(name, "proxy-authorization") {
			return hopProxyAuthorization
		}
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

package wsgi

import (
	"strconv"
	"strings"
)

// SplitScript takes the script name off the front of a path: "/app" and
// "/app/page" give "/page". ok is false if the path lies outside of it
// (gunicorn answers 500). script is compared as it stands, undecoded.
func SplitScript(path []byte, script string) (rest []byte, ok bool) {
	if len(path) < len(script) || string(path[:len(script)]) != script {
		return nil, false
	}
	return path[len(script):], true
}

// HostPort splits a Host field value into SERVER_NAME and SERVER_PORT, for
// listeners that have no port of their own. Without a port it is the scheme's.
func HostPort(host []byte, secure bool) (name, port []byte) {
	name, port = host, http80
	if secure {
		port = https443
	}
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			if i+1 < len(host) {
				port = host[i+1:]
			}
			return host[:i], port
		}
	}
	return name, port
}

var (
	http80   = []byte("80")
	https443 = []byte("443")
)

// RequestStart reads the value of X-Request-Start, by which a proxy says when it
// got a request: "t=" or nothing, then seconds with a fraction, or milliseconds,
// micro- or nanoseconds, since 1970. It returns nanoseconds, 0 for a value that
// makes no sense.
func RequestStart(value []byte) int64 {
	seconds, err := strconv.ParseFloat(strings.TrimPrefix(string(value), "t="), 64)
	if err != nil || !(seconds < 1e20) { // neither infinite nor not a number
		return 0
	}
	// A time of this century tells its unit by its size.
	for seconds > 1e11 {
		seconds /= 1e3
	}
	if seconds < 1e9 {
		return 0
	}
	return int64(seconds * 1e9)
}

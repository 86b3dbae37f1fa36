package syslog

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is where a syslog daemon listens. Network is "udp", "tcp", "unixgram",
// "unix", or "" for a unix socket of a kind that is still to be found out.
type Address struct{ Network, Addr string }

// defaultPort is syslog's, over UDP and, by custom, TCP.
const defaultPort = "514"

// ParseAddress parses udp://HOST[:PORT], tcp://HOST[:PORT], unix://PATH,
// unix://PATH#dgram or unix://PATH#stream. An empty host is localhost, the port is
// 514 by default (gunicorn: syslog_addr). Host names are not looked up.
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok {
		path, kind, _ := strings.Cut(path, "#")
		networks := map[string]string{"": "", "dgram": "unixgram", "stream": "unix"}
		network, known := networks[kind]
		switch {
		case path == "":
			return Address{}, errors.New("no path after unix://")
		case !known:
			return Address{}, fmt.Errorf("a unix socket is #dgram or #stream, not #%s", kind)
		}
		return Address{Network: network, Addr: path}, nil
	}
	network, rest, ok := strings.Cut(s, "://")
	if !ok || network != "udp" && network != "tcp" {
		return Address{}, errors.New("must begin with udp://, tcp:// or unix://")
	}
	host, port, err := splitHostPort(rest)
	if err != nil {
		return Address{}, err
	}
	return Address{Network: network, Addr: net.JoinHostPort(host, port)}, nil
}

func splitHostPort(s string) (host, port string, err error) {
	host, port = s, defaultPort
	if strings.Contains(s, ":") && !strings.HasSuffix(s, "]") {
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", "", errors.New("not HOST:PORT")
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		host = "localhost"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("'%s' is not a valid port number", port)
	}
	return host, port, nil
}

// facilities are the codes of RFC 5424, 6.2.1, by their names in syslog(3), and
// "security", an old name of "auth" (gunicorn: syslog_facility).
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5,
	"lpr": 6, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19,
	"local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

// Facility returns the code of a facility's name.
func Facility(name string) (code int, ok bool) {
	code, ok = facilities[strings.ToLower(name)]
	return code, ok
}

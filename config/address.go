package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// defaultPort is the port of a bind setting that names none (gunicorn:
	// parse_address).
	defaultPort = 8000
	// maxUnixPath is the longest path of a socket: sun_path of unix(7) less its
	// NUL.
	maxUnixPath = 107
)

// parseAddress parses one bind setting: HOST, HOST:PORT, :PORT, [V6], [V6]:PORT
// (each also after tcp://), unix:PATH, unix://PATH, fd://N. A missing port is
// 8000, an empty text every address. Host names are not looked up.
func parseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return parseUnix(s, strings.TrimPrefix(path, "//"))
	}
	if fd, ok := strings.CutPrefix(s, "fd://"); ok {
		return parseFD(s, fd)
	}
	host, port, err := splitHostPort(strings.TrimPrefix(s, "tcp://"))
	if err != nil {
		return Address{}, err
	}
	return Address{Text: s, Network: "tcp", Host: host, Port: port}, nil
}

func parseUnix(s, path string) (Address, error) {
	switch {
	case path == "":
		return Address{}, errors.New("no path after unix:")
	case len(path) > maxUnixPath:
		return Address{}, fmt.Errorf("the path of a socket must not be longer than %d bytes", maxUnixPath)
	}
	return Address{Text: s, Network: "unix", Path: path}, nil
}

func parseFD(s, fd string) (Address, error) {
	n, err := parseCount(fd)
	if err != nil {
		return Address{}, fmt.Errorf("%s is not a valid file descriptor", quote(fd))
	}
	return Address{Text: s, Network: "fd", FD: n}, nil
}

// splitHostPort splits what follows tcp://. A host without a port gets
// defaultPort.
func splitHostPort(s string) (host string, port int, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, rest, ok = strings.Cut(rest, "]")
		if !ok {
			return "", 0, errors.New("no ] after the IPv6 address")
		}
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || !validHost(host) {
			return "", 0, fmt.Errorf("%s is not an IPv6 address", quote(host))
		}
		port, err = portAfter(rest)
		return strings.ToLower(host), port, err
	}
	if strings.Contains(s, "://") {
		return "", 0, errors.New("an address has no scheme but tcp://, unix:// and fd://")
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
		return "", 0, fmt.Errorf("write an IPv6 address in brackets: %s", quote(fmt.Sprintf("[%s]:%d", s, defaultPort)))
	}
	host, rest := s, ""
	if i := strings.IndexByte(s, ':'); i >= 0 {
		host, rest = s[:i], s[i:]
	}
	if !validHost(host) {
		return "", 0, fmt.Errorf("%s is not a host name", quote(host))
	}
	port, err = portAfter(rest)
	return strings.ToLower(host), port, err
}

// validHost refuses what is no host name in any notation; whether there is such a
// host, the resolver finds.
func validHost(s string) bool {
	return !strings.ContainsAny(s, `/\@[] `) && !strings.ContainsFunc(s, notPrintable)
}

// portAfter parses ":PORT"; an empty text is defaultPort.
func portAfter(s string) (int, error) {
	if s == "" {
		return defaultPort, nil
	}
	digits, ok := strings.CutPrefix(s, ":")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%s is not a valid port number", quote(digits))
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is not a valid port number (0 to 65535)", quote(digits))
	}
	return int(n), nil
}

func formatAddress(a Address) string { return a.Text }

package master

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/ipc"
)

const (
	// bindTries and bindPause are gunicorn's patience with an address in use.
	bindTries = 5
	bindPause = time.Second
	// probeWait bounds the question whether anybody answers on a unix socket.
	probeWait = time.Second
)

// listener is one listening socket. It is a descriptor number and nothing more:
// a net.Listener or os.File around it would register it with the Go poller,
// which then wakes the master for every connection of its workers, and could
// change its blocking mode (see startProcess).
type listener struct {
	fd int
	// text is the bind setting it comes from.
	text string
	// borrowed: somebody else made the socket, and may use it when the master is
	// gone: systemd, or whoever passed fd://N.
	borrowed bool
	network  string // "tcp" or "unix"
	addr     string // as bound: "127.0.0.1:8000", "[::1]:8000", a path
	// file refers to the socket file that bind made (O_PATH), 0 if there is none.
	// It tells the file from one that replaced it: as long as it is open the
	// inode's number is not used again.
	file int
}

// url returns the address as the line "Listening at" shows it.
func (l *listener) url() string {
	if l.network == "unix" {
		return "unix:" + l.addr
	}
	return "http://" + l.addr
}

func (l *listener) ipc() ipc.Listener { return ipc.Listener{Network: l.network, Addr: l.addr} }

// close closes the master's descriptor; workers have their own. The port is
// free when the last of them is closed.
func (l *listener) close() error {
	if l.fd < 0 {
		return nil
	}
	fd := l.fd
	l.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

// unlink removes the socket file that bind made, unless the name belongs to
// another file by now: a second server may have replaced it.
func (l *listener) unlink() error {
	if l.file <= 0 {
		return nil
	}
	file := l.file
	l.file = 0
	defer unix.Close(file)
	var ours, now unix.Stat_t
	if err := unix.Fstat(file, &ours); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	err := unix.Lstat(l.addr, &now)
	if errors.Is(err, unix.ENOENT) || err == nil && (now.Dev != ours.Dev || now.Ino != ours.Ino) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "lstat", Path: l.addr, Err: err}
	}
	return os.Remove(l.addr)
}

// binds returns what to listen on: the sockets systemd passed, if any, else the
// addresses of the bind setting.
func (m *Master) binds(cfg *config.Config) ([]config.Address, error) {
	if len(m.systemd) > 0 {
		return m.systemd, nil
	}
	fds, err := systemdFDs(getenv(m.opts.Environ), m.env.pid)
	if err != nil || len(fds) == 0 {
		return cfg.Bind, err
	}
	m.log.Info().Int("sockets", len(fds)).Msgf("Using %d socket(s) passed by systemd, bind is ignored", len(fds))
	for _, fd := range fds {
		m.systemd = append(m.systemd, config.Address{Text: "fd://" + strconv.Itoa(fd), Network: "fd", FD: fd})
	}
	return m.systemd, nil
}

// bindAll opens the sockets of the addresses. Those among have that are meant by
// one of them are taken as they are: nobody who waits on them is lost, and the
// address is never free in between. It blocks for the retries of addresses in
// use, and until ctx ends. On an error nothing but have stays open.
func bindAll(ctx context.Context, log zerolog.Logger, binds []config.Address, cfg *config.Config, have []*listener) ([]*listener, error) {
	var ls, fresh []*listener
	for _, a := range binds {
		i := slices.IndexFunc(have, func(l *listener) bool { return l.text == a.Text && !slices.Contains(ls, l) })
		if i >= 0 {
			ls = append(ls, have[i])
			continue
		}
		l, err := bindRetrying(ctx, log, a, cfg)
		if err != nil {
			return nil, errors.Join(err, closeListeners(fresh))
		}
		l.text = a.Text
		ls, fresh = append(ls, l), append(fresh, l)
	}
	return ls, nil
}

// without returns the listeners of ls that are not in keep.
func without(ls, keep []*listener) []*listener {
	return slices.DeleteFunc(slices.Clone(ls), func(l *listener) bool { return slices.Contains(keep, l) })
}

// closeListeners closes the sockets and removes their files.
func closeListeners(ls []*listener) error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.close(), l.unlink())
	}
	return errors.Join(errs...)
}

// bindRetrying binds one address, with gunicorn's tries and lines on the log.
func bindRetrying(ctx context.Context, log zerolog.Logger, a config.Address, cfg *config.Config) (*listener, error) {
	name := addressText(a)
	for range bindTries {
		l, err := bind(ctx, a, cfg)
		var refused *refusedError
		if err == nil || errors.As(err, &refused) {
			return l, err
		}
		switch {
		case errors.Is(err, unix.EADDRINUSE):
			log.Error().Str("addr", a.Text).Msgf("Connection in use: %s", name)
		case errors.Is(err, unix.EADDRNOTAVAIL):
			log.Error().Str("addr", a.Text).Msgf("Invalid address: %s", name)
		}
		log.Error().Str("addr", a.Text).Msgf("connection to %s failed: %s", name, errnoText(err))
		log.Debug().Msg("Retrying in 1 second.")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(bindPause):
		}
	}
	log.Error().Str("addr", a.Text).Msgf("Can't connect to %s", name)
	return nil, errLogged
}

// refusedError is a bind setting that no retry can make work.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

func refusef(format string, args ...any) error {
	return &refusedError{reason: fmt.Sprintf(format, args...)}
}

// bind opens one address.
func bind(ctx context.Context, a config.Address, cfg *config.Config) (*listener, error) {
	switch a.Network {
	case "unix":
		return bindUnix(a.Path, cfg)
	case "fd":
		return adoptFD(a.FD, a.Text)
	}
	return bindTCP(ctx, a.Host, a.Port, cfg.Backlog, cfg.ReusePort)
}

// bindTCP binds host and port. An empty host is every IPv4 address (gunicorn's
// 0.0.0.0); a name is resolved, and an IPv4 address of it preferred.
//
// SO_REUSEADDR lets a restart bind while connections of the old server are in
// TIME_WAIT. gunicorn's reuse_port makes every worker bind a socket of its own;
// here the master's one socket merely has SO_REUSEPORT, so that another server
// may share the port. A socket per worker would lose the connections queued on
// it whenever that worker ends.
func bindTCP(ctx context.Context, host string, port, backlog int, reusePort bool) (*listener, error) {
	ip, err := resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	domain, sa, err := tcpSockaddr(ip, port)
	if err != nil {
		return nil, err
	}
	fd, err := socket(domain)
	if err != nil {
		return nil, err
	}
	set := func(level, opt int) {
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, opt, 1))
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR)
	if reusePort {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT)
	}
	// Accepted sockets inherit it.
	set(unix.IPPROTO_TCP, unix.TCP_NODELAY)
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, backlog))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return describe(fd)
}

func socket(domain int) (int, error) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

// resolve returns the address to bind for a host.
func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv4Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("resolving %s: %w", host, err)
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return ips[0], nil
}

func tcpSockaddr(ip netip.Addr, port int) (domain int, sa unix.Sockaddr, err error) {
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}, nil
	}
	sa6 := &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		ifi, err := net.InterfaceByName(zone)
		if err != nil {
			return 0, nil, fmt.Errorf("zone of %s: %w", ip, err)
		}
		sa6.ZoneId = uint32(ifi.Index)
	}
	return unix.AF_INET6, sa6, nil
}

// bindUnix binds a path; fileOf says what its file is like. A path that starts with
// "@" is an abstract socket.
func bindUnix(path string, cfg *config.Config) (*listener, error) {
	abstract := strings.HasPrefix(path, "@")
	if !abstract {
		if err := removeStaleSocket(path); err != nil {
			return nil, err
		}
	}
	fd, err := socket(unix.AF_UNIX)
	if err != nil {
		return nil, err
	}
	// The file gets the mode of the socket less the umask of the process, which a
	// worker started meanwhile would inherit if it were changed. So the file is
	// never open to more than it should be, and opened to the rest below. Until
	// listen(2) nobody can connect, whatever the file's mode and owner are.
	file := fileOf(cfg)
	err = os.NewSyscallError("fchmod", unix.Fchmod(fd, file.mode))
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	}
	if errors.Is(err, unix.EINVAL) {
		err = refusef("unix socket path '%s' is too long", path)
	}
	l := &listener{fd: fd, network: "unix", addr: path}
	if err == nil && !abstract {
		l.file, err = unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		err = l.open(file)
	}
	if err == nil {
		err = os.NewSyscallError("listen", unix.Listen(fd, cfg.Backlog))
	}
	if err != nil {
		return nil, errors.Join(err, l.close(), l.unlink())
	}
	return l, nil
}

// open gives the socket file that bind made, if it is one, its mode and its owner.
// It is the file itself that changes, not what has its name by now.
func (l *listener) open(file socketFile) error {
	if l.file <= 0 {
		return nil
	}
	// fchmod(2) refuses an O_PATH descriptor.
	if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(l.file), file.mode); err != nil {
		return os.NewSyscallError("chmod", err)
	}
	if file.uid < 0 && file.gid < 0 {
		return nil
	}
	if err := unix.Fchownat(l.file, "", file.uid, file.gid, unix.AT_EMPTY_PATH); err != nil {
		return refusef("unix socket '%s' cannot be given to user %d, group %d: %v", l.addr, file.uid, file.gid, err)
	}
	return nil
}

// removeStaleSocket removes what a server that was killed left at path. A file
// of another kind is never touched, and neither is a socket on which somebody
// answers, or might: only a refused connection proves that nobody listens.
func removeStaleSocket(path string) error {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return refusef("'%s' is not a socket", path)
	}
	conn, err := net.DialTimeout("unix", path, probeWait)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return os.NewSyscallError("bind", unix.EADDRINUSE)
	}
	return os.Remove(path)
}

// adoptFD takes a socket over that somebody passed to the master: fd://N or
// systemd. Nothing says how long its owner lives, so its file is not unlinked.
func adoptFD(fd int, text string) (*listener, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case errors.Is(err, unix.EBADF):
		return nil, refusef("%s is not an open file descriptor", text)
	case errors.Is(err, unix.ENOTSOCK):
		return nil, refusef("%s is not a socket", text)
	case err != nil:
		return nil, refusef("%s: %v", text, err)
	}
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || accepts == 0 || kind != unix.SOCK_STREAM {
		return nil, refusef("%s is not a listening stream socket", text)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, refusef("%s: %v", text, err)
	}
	l, err := describe(fd)
	if err == nil {
		l.borrowed = true
	}
	if err == nil && l.network == "tcp" {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}
	return l, err
}

// describe asks a bound socket for its address. On an error fd is closed.
func describe(fd int) (*listener, error) {
	sa, err := unix.Getsockname(fd)
	l := &listener{fd: fd, network: "tcp"}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		l.addr = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(sa.ZoneId)))
		}
		l.addr = netip.AddrPortFrom(ip, uint16(sa.Port)).String()
	case *unix.SockaddrUnix:
		l.network, l.addr = "unix", sa.Name
	default:
		err = errors.Join(refusef("file descriptor %d is a socket of an unknown family", fd), os.NewSyscallError("getsockname", err))
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// addressText returns the address as gunicorn's lines show it: Python's repr of
// a (host, port) tuple, a path, or the setting itself.
func addressText(a config.Address) string {
	switch a.Network {
	case "unix":
		return a.Path
	case "fd":
		return a.Text
	}
	host := a.Host
	if host == "" {
		host = "0.0.0.0"
	}
	return fmt.Sprintf("('%s', %d)", host, a.Port)
}

// errnoText returns an error as Python's str(OSError) does, as far as it has an
// errno: "[Errno 98] Address already in use".
func errnoText(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return fmt.Sprintf("[Errno %d] %s%s", int(errno), strings.ToUpper(text[:1]), text[1:])
}

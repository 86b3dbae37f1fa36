package worker

import (
	"bytes"
	"net/netip"

	"golang.org/x/sys/unix"

	"gowsgi/config"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/proxy"
)

// What is believed of what a proxy in front says, and whom. Whether the peer of a
// connection is such a proxy is decided once, when it is accepted.

// judgePeer takes c's peer from accept and decides whether it is believed. One on a
// unix socket is: whoever can open that may (gunicorn: forwarded_allow_ips,
// proxy_allow_ips).
func (e *engine) judgePeer(c *conn, sa *unix.RawSockaddrAny) {
	ip, local := c.setPeer(sa)
	c.trusted = local || e.cfg.ForwardedAllowIPs.Contains(ip)
	c.speaksFor = c.trusted
	if e.versions != 0 {
		c.preface = prefaceForbidden
		if local || e.cfg.ProxyAllowIPs.Contains(ip) {
			c.preface = prefaceExpected
		}
	}
}

// errProxy refuses a PROXY header of a peer that may not send one (gunicorn:
// ForbiddenProxyRequest).
var errProxy = &http1.Error{Status: 403, Reason: "PROXY header from a peer that may not send one"}

// readPreface looks for a PROXY header at the start of c's buffer. It reports
// whether what is there now belongs to a request. The time a client has for the
// head of its first request is for the header too.
func (e *engine) readPreface(c *conn) (done bool, err *http1.Error) {
	switch e.versions.Detect(c.buf[:c.n]) {
	case proxy.Undecided:
		return false, nil
	case proxy.Plain:
		c.preface = prefaceDone
		return true, nil
	}
	if c.preface == prefaceForbidden {
		return false, errProxy
	}
	h, n, err := proxy.Parse(c.buf[:c.n])
	if n == 0 || err != nil {
		return false, err
	}
	e.setProxied(c, h)
	c.n = copy(c.buf, c.buf[n:c.n])
	return c.n > 0, nil
}

// versionsOf returns the PROXY headers that are read.
func versionsOf(cfg *config.Config) proxy.Versions {
	switch cfg.ProxyProtocol {
	case config.ProxyV1:
		return proxy.V1
	case config.ProxyV2:
		return proxy.V2
	case config.ProxyAuto:
		return proxy.V1 | proxy.V2
	}
	return 0
}

// realIP is how the client of a request is found.
type realIP struct {
	// field is the name of the field that names it, nil for none.
	field []byte
	// walk goes through one line of it, see proxy.ForwardedFor.
	walk func(value []byte) (client netip.AddrPort, more bool, err *http1.Error)
}

// realIPOf returns what real_ip_header asks for. With forwarded_allow_ips "*" the
// peer is believed, but it is not known which addresses are of proxies: then the
// last one counts.
func realIPOf(cfg *config.Config) realIP {
	isProxy := cfg.ForwardedAllowIPs.Lists
	switch cfg.RealIPHeader {
	case config.RealIPForwardedFor:
		return realIP{[]byte(cfg.RealIPHeader), func(value []byte) (netip.AddrPort, bool, *http1.Error) {
			client, more := proxy.ForwardedFor(value, isProxy)
			return client, more, nil
		}}
	case config.RealIPForwarded:
		return realIP{[]byte(cfg.RealIPHeader), func(value []byte) (netip.AddrPort, bool, *http1.Error) {
			return proxy.Forwarded(value, isProxy)
		}}
	}
	return realIP{}
}

// findClient takes the client's address from the fields of c's request. Of several
// lines the last was added last.
func (e *engine) findClient(c *conn, r *http1.Request) *http1.Error {
	for i := len(r.Fields) - 1; i >= 0; i-- {
		f := r.Fields[i]
		if !bytes.EqualFold(f.Name.Of(c.buf), e.realIP.field) {
			continue
		}
		client, more, err := e.realIP.walk(f.Value.Of(c.buf))
		if err != nil {
			return err
		}
		if client.IsValid() {
			c.client.set(client.Addr(), client.Port(), client.Port() != 0)
		}
		if !more {
			break
		}
	}
	return nil
}

// forwarderFields returns the fields that mean something from a trusted peer.
func forwarderFields(cfg *config.Config) (f proxy.Fields) {
	f.Add("X-REQUEST-START", proxy.RequestStart, "")
	for name, value := range cfg.SecureSchemeHeaders {
		f.Add(name, proxy.Scheme, value)
	}
	for _, name := range cfg.ForwarderHeaders {
		switch name {
		case "SCRIPT_NAME":
			f.Add(name, proxy.ScriptName, "")
		case "*":
			f.Add("SCRIPT_NAME", proxy.ScriptName, "")
		default:
			f.Add(name, proxy.Forwarder, "")
		}
	}
	return f
}

// mayForward reports whether c's peer may set the field, whose name has an
// underscore: then it reaches the application whatever becomes of other such names
// (gunicorn: forwarder_headers).
func (e *engine) mayForward(c *conn, name []byte) bool {
	if !c.trusted {
		return false
	}
	role, _ := e.forwarder.Find(name)
	return role == proxy.ScriptName || role == proxy.Forwarder || e.forwardAll
}

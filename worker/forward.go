package worker

import (
	"net/netip"

	"gowsgi/config"
	"gowsgi/protocol/proxy"
)

// What is believed of what a proxy in front says, and whom. Whether the peer of a
// connection is such a proxy is decided once, when it is accepted.

// judgePeer decides whether c's peer, at ip, is believed. Without an address it came
// over a unix socket, and then it may: whoever can open that (gunicorn:
// forwarded_allow_ips).
func (e *engine) judgePeer(c *conn, ip netip.Addr) {
	c.trusted = !ip.IsValid() || e.cfg.ForwardedAllowIPs.Contains(ip)
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

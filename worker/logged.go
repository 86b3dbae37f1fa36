package worker

import (
	"bytes"
	"net"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/ipc"
	"gowsgi/protocol/proxy"
)

// tellPython has Python log a request that it has not run to its end. The scribe is
// the engine's, entry what it describes; e.mu is held.
func (e *engine) tellPython(c *conn, entry *accesslog.Entry, end *accesslog.Ending) {
	if e.pyLog != nil {
		e.pyLog.Request(e.scribe.forPython(e, c, entry, end))
	}
}

// forPython copies what the scribe has described.
func (s *scribe) forPython(e *engine, c *conn, entry *accesslog.Entry, end *accesslog.Ending) *ipc.LoggedRequest {
	r := &ipc.LoggedRequest{
		Target: ipc.Latin1(entry.Target), Addr: string(entry.Addr), Port: string(c.portText(nil)),
		Fields: [][2]string{},
		Status: end.Status, Sent: end.Sent, Outcome: end.Outcome.String(),
		Taken: end.Taken.Microseconds(), Queued: end.Queued.Microseconds(),
	}
	if c.listener < len(e.serverNames) {
		r.Server, r.ServerPort = e.serverNames[c.listener].host, e.serverNames[c.listener].port
	}
	if !entry.Parsed {
		return r
	}
	r.Method, r.Version = ipc.Latin1(entry.Method), ipc.Latin1(entry.Version)
	r.Path, r.Query = ipc.Latin1(entry.PathInfo), ipc.Latin1(entry.Query)
	for _, f := range s.head.Fields {
		name, value := f.Name.Of(s.buf), f.Value.Of(s.buf)
		if bytes.IndexByte(name, '_') >= 0 {
			continue // it could stand for another name, and most are dropped (header_map)
		}
		if c.trusted {
			if role, means := e.forwarder.Find(name); role == proxy.Scheme {
				r.HTTPS = string(value) == means
			}
		}
		r.Fields = append(r.Fields, [2]string{ipc.Latin1(name), ipc.Latin1(value)})
	}
	return r
}

// serverName is what SERVER_NAME and SERVER_PORT are for a listener.
type serverName struct{ host, port string }

// nameOf returns the name of a listener; that of a unix socket is empty.
func nameOf(l ipc.Listener) serverName {
	if host, port, err := net.SplitHostPort(l.Addr); err == nil && l.Network != "unix" {
		return serverName{host, port}
	}
	return serverName{}
}

package accesslog

import "time"

// Outcome says how a request ended.
type Outcome uint8

const (
	// OK: the system took the whole response, whatever its status.
	OK Outcome = iota
	// Error: the application raised or broke the rules. With status 500 the server
	// answered for it; otherwise the response was cut short.
	Error
	// Aborted: the client left. Status 499 if no response had been begun.
	Aborted
	// Refused: the server answered by itself, and the application was not called.
	Refused
	// Timeout: the client was too slow, or the request ran for too long.
	Timeout
	// Taken: the application took the connection over (gunicorn.socket).
	Taken
	// Lost: the worker ended before the request did.
	Lost
)

// String returns the word that %(X)s and "outcome" show.
func (o Outcome) String() string {
	return [...]string{"ok", "error", "aborted", "refused", "timeout", "taken", "lost"}[o]
}

// StatusGone is the status of a request whose client left before any response. It
// is never sent; nginx logs the same.
const StatusGone = 499

// Ending is what is known of a request only when it is over.
type Ending struct {
	Outcome Outcome
	// Status is the response's, 0 if there was none.
	Status int
	// Sent is how many bytes of content the system took.
	Sent int64
	// End is the ipc.Clock time, in nanoseconds, at which the request was over.
	End int64
	// Taken is the whole time, without Queued; App the part of it in the
	// application, Write the part spent waiting for the client to take the response.
	Taken, App, Write time.Duration
	// Queued is how long the request waited for a free thread.
	Queued time.Duration
}

// Fields gives access to what a format asks for by name. The values are valid until
// the next request; nil stands for none. Names are in lower case.
type Fields interface {
	// RequestField returns the value of the last field of that name.
	RequestField(name string) []byte
	// ResponseField returns the value of the application's last field of that name.
	ResponseField(name string) []byte
	// EnvironKey returns the value of the i-th of Format.Keys.
	EnvironKey(i int) []byte
}

// Entry is what a line says of a request besides its Ending. Its slices are
// borrowed for one call of a Pen.
type Entry struct {
	// Addr is the client's address, empty for a unix socket.
	Addr []byte
	// Parsed says that the request line was understood. Otherwise Target is the
	// line as it came, possibly cut or empty, and the four below it are not used.
	Parsed bool
	Target []byte
	Method []byte
	// Path is the path of the target as sent, PathInfo the decoded one that the
	// application sees.
	Path, PathInfo []byte
	Query          []byte
	// Version is the version as sent, "HTTP/1.1"; empty if it is not known.
	Version []byte
	// Fields may be nil: there are none.
	Fields Fields
}

func (e *Entry) requestField(name string) []byte {
	if e.Fields == nil {
		return nil
	}
	return e.Fields.RequestField(name)
}

func (e *Entry) responseField(name string) []byte {
	if e.Fields == nil {
		return nil
	}
	return e.Fields.ResponseField(name)
}

func (e *Entry) environKey(i int) []byte {
	if e.Fields == nil {
		return nil
	}
	return e.Fields.EnvironKey(i)
}

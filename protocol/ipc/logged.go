package ipc

import (
	"cmp"
	"fmt"
	"unicode/utf8"
)

// LoggedRequest is a request that Python's access log has to be told of, because no
// Python code ran it to its end: the server answered it itself, its client or its
// worker left, or it took too long. As JSON it is what logs.py takes.
type LoggedRequest struct {
	// Method, Target, Query and Version are as sent, Path is decoded. If the request
	// line made no sense, Target is the line and the others are empty.
	Method  string `json:"method"`
	Target  string `json:"target"`
	Path    string `json:"path"`
	Query   string `json:"query"`
	Version string `json:"version"`
	// Fields are names and values as sent, as far as the head was understood.
	Fields [][2]string `json:"fields"`
	// Addr and Port are the client's, empty for a unix socket; Server and ServerPort
	// are what it connected to.
	Addr       string `json:"addr"`
	Port       string `json:"port"`
	Server     string `json:"server"`
	ServerPort string `json:"server_port"`
	HTTPS      bool   `json:"https"`
	// Status is 0 if there was no response. Sent counts bytes of content.
	Status int   `json:"status"`
	Sent   int64 `json:"sent"`
	// Taken is the whole time in microseconds without Queued.
	Taken   int64  `json:"taken"`
	Queued  int64  `json:"queued"`
	Outcome string `json:"outcome"`
}

// Latin1 returns the text of which each byte of b is a character, as Python's native
// strings have it (PEP 3333, Unicode Issues).
func Latin1(b []byte) string {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			text := append(make([]byte, 0, 2*len(b)), b[:i]...)
			for _, c := range b[i:] {
				text = utf8.AppendRune(text, rune(c))
			}
			return string(text)
		}
	}
	return string(b)
}

// String returns what a line of a log shows where Python cannot make one.
func (r *LoggedRequest) String() string {
	line := r.Target
	if r.Method != "" {
		line = r.Method + " " + r.Target + " " + r.Version
	}
	return fmt.Sprintf("%s %q %d %d (%s)", cmp.Or(r.Addr, "-"), line, r.Status, r.Sent, r.Outcome)
}

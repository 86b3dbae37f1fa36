// Package syslog sends the lines of the error log and the access log to a syslog
// daemon, in the form gunicorn does:
//
//	<PRI>gunicorn.PREFIX.error: [PID] message
//
// A message is one datagram; over a stream it ends in a line feed for TCP (RFC
// 6587, 3.4.2) and in a NUL for a unix socket, as of syslog(3). There is neither
// time nor host in it: a daemon adds both (RFC 3164, 4.3.3).
//
// Nobody ever waits for the daemon: messages go into a bounded queue that a
// goroutine sends. While the daemon is away they wait there; what does not fit is
// counted, and the number is told when the daemon is back.
package syslog

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// maxQueue is how many bytes may wait to be sent, and again as many be under
	// way.
	maxQueue = 1 << 20
	// maxMessage is the longest message in bytes; what is longer is cut. Daemons
	// take 8 KiB by default (rsyslog: $MaxMessageSize).
	maxMessage = 8 << 10
	// patience bounds one attempt to connect or to send.
	patience = time.Second
	// retryEvery is the pause between attempts to reach a daemon that is away.
	retryEvery = time.Second
)

// Severities of RFC 5424, 6.2.1, by the names of the levels.
var severities = map[string]int{"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}

// Options are what a Writer is made with.
type Options struct {
	Address  Address
	Facility int
	// Tag is what precedes ".error: " and ".access: ".
	Tag string
	// PID is the process the lines are of.
	PID int
	// Access says that lines of the access log are wanted, too.
	Access bool
}

// Writer sends to one daemon. It may be used concurrently.
type Writer struct {
	o Options

	mu sync.Mutex
	// queue holds the messages that wait, ends where each of them ends, dropped
	// how many there was no room for. All are guarded by mu.
	queue   []byte
	ends    []int
	dropped int

	filled chan struct{}
	quit   chan struct{} // closed by Close
	ended  chan struct{} // closed when the goroutine has ended

	// Of the goroutine alone.
	conn    net.Conn
	network string // of conn
	out     []byte // a message as it is sent over a stream
}

// Open starts the goroutine that connects and sends; Close ends it. It does not
// block, and that there is no daemon is no error.
func Open(o Options) *Writer {
	w := &Writer{
		o:      o,
		filled: make(chan struct{}, 1),
		quit:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go w.run()
	return w
}

// Event implements logging.Sink.
func (w *Writer) Event(level string, text []byte, _ bool) {
	w.send(severities[level], ".error: ", text)
}

// AccessLines takes lines of the access log, each with its end.
func (w *Writer) AccessLines(lines []byte) {
	if !w.o.Access {
		return
	}
	for line := range bytes.Lines(lines) {
		w.send(severities["info"], ".access: ", bytes.TrimSuffix(line, []byte("\n")))
	}
}

// send puts a message into the queue.
func (w *Writer) send(severity int, name string, text []byte) {
	w.mu.Lock()
	if len(w.queue)+min(len(text), maxMessage) > maxQueue {
		w.dropped++
	} else {
		w.queue = w.appendMessage(w.queue, severity, name, text)
		w.ends = append(w.ends, len(w.queue))
	}
	w.mu.Unlock()
	select {
	case w.filled <- struct{}{}:
	default:
	}
}

func (w *Writer) appendMessage(b []byte, severity int, name string, text []byte) []byte {
	from := len(b)
	b = strconv.AppendInt(append(b, '<'), int64(w.o.Facility<<3|severity), 10)
	b = append(append(append(b, '>'), w.o.Tag...), name...)
	b = strconv.AppendInt(append(b, '['), int64(w.o.PID), 10)
	b = append(append(b, "] "...), text...)
	return b[:min(len(b), from+maxMessage)]
}

// Close returns when everything is sent, or after wait. It may be called more than
// once; what is logged later is not sent.
func (w *Writer) Close(wait time.Duration) {
	w.mu.Lock()
	select {
	case <-w.quit:
	default:
		close(w.quit)
	}
	w.mu.Unlock()
	select {
	case <-w.ended:
	case <-time.After(wait):
	}
}

// run is the goroutine. After Close it sends what is left, unless the daemon is
// away.
func (w *Writer) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.filled:
		case <-w.quit:
			w.deliver()
			if w.conn != nil {
				_ = w.conn.Close()
			}
			return
		}
		w.deliver()
	}
}

// deliver sends what is in the queue.
func (w *Writer) deliver() {
	for {
		w.mu.Lock()
		queue, ends, dropped := w.queue, w.ends, w.dropped
		w.queue, w.ends, w.dropped = nil, nil, 0
		w.mu.Unlock()
		if dropped > 0 {
			queue = w.appendMessage(queue, severities["warning"], ".error: ",
				fmt.Appendf(nil, "%d messages were lost: the syslog daemon did not take them in time", dropped))
			ends = append(ends, len(queue))
		}
		if len(ends) == 0 {
			return
		}
		from := 0
		for _, end := range ends {
			if !w.deliverOne(queue[from:end]) {
				return
			}
			from = end
		}
	}
}

// deliverOne sends a message, however long the daemon is away. It gives up, and
// reports false, if the Writer is closed meanwhile.
func (w *Writer) deliverOne(message []byte) bool {
	for {
		err := w.connect()
		if err == nil {
			if err = w.write(message); err == nil {
				return true
			}
			_ = w.conn.Close()
			w.conn = nil
			// A daemon that was restarted is there again.
			if err = w.connect(); err == nil && w.write(message) == nil {
				return true
			}
		}
		if w.conn != nil && w.network == "udp" {
			return true // nobody listens; nothing would tell when somebody does
		}
		select {
		case <-w.quit:
			return false
		case <-time.After(retryEvery):
		}
	}
}

// connect makes a connection unless there is one.
func (w *Writer) connect() (err error) {
	if w.conn != nil {
		return nil
	}
	networks := []string{w.o.Address.Network}
	if networks[0] == "" {
		networks = []string{"unixgram", "unix"}
	}
	for _, network := range networks {
		w.conn, err = net.DialTimeout(network, w.o.Address.Addr, patience)
		if err == nil {
			w.network = network
			return nil
		}
	}
	w.conn = nil
	return err
}

func (w *Writer) write(message []byte) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	switch w.network {
	case "tcp":
		// A message is one line. This is how rsyslog shows a line feed in it.
		w.out = append(w.out[:0], bytes.ReplaceAll(message, []byte("\n"), []byte("#012"))...)
		message = append(w.out, '\n')
	case "unix":
		w.out = append(append(w.out[:0], message...), 0)
		message = w.out
	}
	_, err := w.conn.Write(message)
	if errors.Is(err, syscall.EMSGSIZE) {
		return nil // it never will be smaller
	}
	return err
}

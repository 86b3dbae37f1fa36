package worker

import (
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/internal/accesslog"
	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
	"gowsgi/protocol/proxy"
	"gowsgi/protocol/wsgi"
	"gowsgi/worker/python"
)

// thread is one application thread as the engine sees it, and the server's side
// of the calls it makes. It implements python.Handler.
type thread struct {
	e      *engine
	py     *python.Thread
	main   bool // it runs on the process's main OS thread
	record *ipc.Thread
	wake   chan struct{}
	events [eventBatch]unix.EpollEvent
	peer   unix.RawSockaddrAny

	// head is the request parsed last, and whose it is.
	head         *http1.Request
	parsedConn   *conn
	parsedGen    int32
	parsedSerial uint32

	req  python.Request
	lent []byte // memory lent to C: addresses and ports
	path []byte // the same for the decoded path

	// The running call.
	c        *conn
	resp     wsgi.Response
	hints    wsgi.Response
	framing  wsgi.Framing
	headSent bool
	complete bool // all of the response has been produced
	whole    bool // all of its Content-Length has been written, before the application's end
	// concluded: how the call ended is known. inPython: its line is Python's to write.
	concluded, inPython bool
	sent                int64 // content bytes
	cut                 bool  // the application sent more than its Content-Length
	start               int64
	answer              reply
	stuck               int64 // start of the call that was timed out last; guarded by engine.mu
	// clientWait is how much of the call the client is to blame for.
	clientWait waiting
	yielded    int64 // when the thread last went through the scheduler
	waited     int64 // nanoseconds the request waited for a thread
	blocked    int64 // nanoseconds the thread waited for the client to take more
	bodyWait   int64 // nanoseconds content was waited for
	outcome    accesslog.Outcome
	inputErr   *http1.Error // why content could not be read
	out        []byte       // scratch for heads and small responses

	// keepNext: what is sent next is the rest of the response, and may be held.
	keepNext bool
	// kept is that rest, in out, until the call is over or letGo, and keptFD whose it
	// is. They are guarded by engine.mu.
	kept   []byte
	keptFD int
	pace   pacer

	common      []byte // "Server" and "Date" lines
	commonUntil int64  // ipc.Clock time
	scribe      scribe
}

// smallBody is how much content is copied behind the head to go out in one
// write; more is written beside it.
const smallBody = 16 << 10

func newThread(e *engine, record *ipc.Thread) *thread {
	t := &thread{e: e, record: record, wake: make(chan struct{}, 1), pace: newPacer()}
	t.py = python.NewThread(t, e.rules.Fields)
	t.head = &t.py.Head
	t.lent = python.Alloc(128)
	t.scribe.init(e, t.head, &t.resp)
	t.path = python.Alloc(max(e.rules.RequestLine, minBuffer))
	return t
}

// Run implements python.Handler.
func (t *thread) Run() { t.e.run(t) }

// parsedFor notes that head is c's current request.
func (t *thread) parsedFor(c *conn) {
	t.parsedConn, t.parsedGen, t.parsedSerial = c, c.gen, c.serial
}

func (t *thread) hasParsed(c *conn) bool {
	return t.parsedConn == c && t.parsedGen == c.gen && t.parsedSerial == c.serial
}

// serve runs the parsed request of c, which the thread owns meanwhile, through
// the application and writes the response.
func (t *thread) serve(c *conn) {
	t.begin(c)
	if status, reason := t.fill(); status != 0 {
		t.outcome = accesslog.Refused
		t.logInvalid(status, reason)
		t.fail(status, reason)
	} else {
		t.record.Begin(t.start, c.remoteAddr(), t.head.Method.Of(c.buf), t.head.Target.Of(c.buf))
		result := t.call()
		t.record.End()
		t.conclude(result)
	}
	t.settle()
	t.c = nil
}

// yieldEvery is a little less than the time after which the Go runtime takes a
// processor away from a goroutine that was not scheduled.
const yieldEvery = 8 * time.Millisecond

// yield goes through Go's scheduler now and then. A thread that is always in a
// call or between two would look stuck to the runtime's monitor, which then takes
// its processor away at every call that it catches, and looks for more every 20
// microseconds: a tenth of a core, for nothing.
func (t *thread) yield() {
	if t.start-t.yielded >= int64(yieldEvery) {
		t.yielded = t.start
		runtime.Gosched()
	}
}

// begin resets what one response leaves behind.
func (t *thread) begin(c *conn) {
	t.c = c
	t.start = t.e.clock.Now()
	t.pace.called(t.start)
	t.headSent, t.complete, t.whole, t.cut, t.sent = false, false, false, false, 0
	t.concluded, t.inPython = false, false
	t.bodyWait, t.inputErr = 0, nil
	if t.clientWait.total.Load() != 0 {
		t.clientWait.total.Store(0)
	}
	t.resp.Reset(t.head.Minor, t.head.Method.Of(c.buf), t.head.Upgrade)
	for i := range t.scribe.environ {
		t.scribe.environ[i] = t.scribe.environ[i][:0]
	}
	t.waited, t.blocked, t.outcome = 0, 0, accesslog.OK
	if c.queuedAt != 0 {
		t.waited = t.start - c.queuedAt
	}
	if t.start >= t.commonUntil {
		t.renewCommon()
	}
	if t.e.debug {
		t.e.log.Debug().Msgf("%s %s", t.head.Method.Of(c.buf), t.head.Path.Of(c.buf))
	}
}

func (t *thread) isHead() bool { return string(t.head.Method.Of(t.c.buf)) == "HEAD" }

// renewCommon makes the lines that change once a second.
func (t *thread) renewCommon() {
	now := time.Now()
	t.common = appendCommon(t.common[:0], now)
	t.commonUntil = t.start + int64(time.Second) - int64(now.Nanosecond())
}

// fill makes the request for the bridge. A request the environ cannot be made of
// gets a status and a reason.
func (t *thread) fill() (status int, reason string) {
	c, h, q := t.c, t.head, &t.req
	body, _ := c.content()
	*q = python.Request{Buf: c.buf, Body: body, Stream: c.stream, Listener: c.listener, FD: c.fd}
	addr := t.lent[:copy(t.lent, c.remoteAddr())]
	q.RemoteAddr = addr
	q.RemotePort = c.portText(t.lent[len(addr):len(addr)])
	if c.proxied != nil {
		t.proxyVariables(t.lent[len(addr)+len(q.RemotePort):])
	}
	if c.stream {
		q.Body = nil
	}
	if c.trusted && !t.trustedFields() {
		return errScheme.Status, errScheme.Reason
	}
	path := h.Path.Of(c.buf)
	ok := true
	switch {
	case q.ScriptName != nil:
		path, ok = wsgi.SplitScript(path, string(q.ScriptName))
	case t.e.script != "":
		path, ok = wsgi.SplitScript(path, t.e.script)
	}
	if !ok {
		return 500, "the path is outside of SCRIPT_NAME"
	}
	q.PathInfo = t.decode(path)
	q.QueueTime = float64(t.waited) / 1e9
	if t.e.unixListener[c.listener] {
		q.ServerName, q.ServerPort = wsgi.HostPort(h.Host.Of(c.buf), q.HTTPS)
	}
	return 0, ""
}

// proxyVariables tells the application of the PROXY header. What is written to lent
// is lent to C.
func (t *thread) proxyVariables(lent []byte) {
	h, q := t.c.proxied, &t.req
	add := func(text string) []byte {
		b := lent[:copy(lent, text)]
		lent = lent[len(b):]
		return b
	}
	q.ProxyProtocol = add(h.Kind.String())
	if h.Destination.IsValid() {
		q.ProxyAddr = add(h.Destination.Addr().String())
		q.ProxyPort = add(strconv.Itoa(int(h.Destination.Port())))
	}
}

// decode returns the percent-decoded path, in memory that may be lent to C.
func (t *thread) decode(path []byte) []byte {
	if !http1.NeedsUnescape(path) {
		return path
	}
	if len(path) > len(t.path) {
		t.path = python.Alloc(2 * len(path))
	}
	return http1.AppendUnescaped(t.path[:0], path)
}

// trustedFields reads what a trusted peer says of the client's scheme, of where
// the application is mounted, and since when the request waits. It reports false
// if two fields disagree on the scheme.
func (t *thread) trustedFields() bool {
	found := false
	for _, f := range t.head.Fields {
		role, means := t.e.forwarder.Find(f.Name.Of(t.c.buf))
		if role == proxy.NoRole {
			continue
		}
		value := f.Value.Of(t.c.buf)
		switch role {
		case proxy.Scheme:
			secure := string(value) == means
			if found && secure != t.req.HTTPS {
				return false
			}
			found, t.req.HTTPS = true, secure
		case proxy.ScriptName:
			t.req.ScriptName = value // of several the last, as in gunicorn
		case proxy.RequestStart:
			if at := wsgi.RequestStart(value); at > 0 {
				t.waited = max(t.waited, time.Now().UnixNano()-at)
			}
		}
	}
	return true
}

// conclude looks at how the call ended and makes the response whole, or cuts it, once.
func (t *thread) conclude(result python.Result) {
	if t.concluded {
		return
	}
	t.concluded = true
	c := t.c
	t.complete = t.complete || t.whole && t.py.Exhausted()
	if c.behind {
		t.catchUp()
	}
	if !t.headSent && !t.answer.begin() {
		c.gone, t.outcome = true, accesslog.Timeout
	}
	switch {
	case t.py.Taken():
		c.taken = true // nothing of ours belongs behind what it did there
		t.outcome = accesslog.Taken
	case result == python.ClientGone || c.gone:
		c.gone = true
		if t.outcome == accesslog.OK {
			t.outcome = accesslog.Aborted
		}
		t.e.log.Debug().Msg("Ignored premature client disconnection.")
	case !t.headSent && t.inputErr != nil:
		t.outcome = outcomeOf(t.inputErr)
		t.fail(t.inputErr.Status, t.inputErr.Reason)
	case !t.headSent:
		t.outcome = accesslog.Error
		t.fail(500, "")
	case !t.complete:
		t.outcome = accesslog.Error
		// It gets what the application has sent, and can tell from the missing rest
		// that the response is broken; where there is no rest, from a reset.
		c.keepAlive = false
		if t.framing == wsgi.Close {
			c.abort = true
			_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
	}
}

// logInvalid says on the log what is wrong with the request.
func (t *thread) logInvalid(status int, reason string) {
	t.e.log.Warn().Int("status", status).Msgf("Invalid request from ip=%s: %s", t.c.remoteAddr(), reason)
}

// fail answers with an error page of the server.
func (t *thread) fail(status int, reason string) {
	t.c.keepAlive = false
	t.resp.Clear()
	t.resp.Status = status
	page := errorPage(status, reason, t.isHead())
	t.headSent, t.complete = true, true
	t.send(page, nil, false)
	t.sent = contentSent(page, len(page))
}

var blankLine = []byte("\r\n\r\n")

// Environ implements python.Handler.
func (t *thread) Environ(i int, value []byte) {
	t.scribe.environ[i] = append(t.scribe.environ[i][:0], value...)
}

// Conclude implements python.Handler.
func (t *thread) Conclude(result python.Result) python.Ending {
	t.conclude(result)
	if t.answer.taken() {
		return python.Ending{Status: 504} // recorded when it was sent
	}
	t.inPython = t.e.pyLog != nil
	return python.Ending{Status: t.status(), Sent: t.sent, Outcome: t.outcome.String()}
}

// status returns the status of the response that was concluded, 0 for none.
func (t *thread) status() int {
	if !t.headSent && (t.outcome == accesslog.Aborted || t.outcome == accesslog.Timeout) {
		return accesslog.StatusGone
	}
	return t.resp.Status
}

// Failed implements python.Handler.
func (t *thread) Failed(phase python.Phase, traceback string) {
	if t.c == nil {
		t.e.log.Error().Str("traceback", traceback).Msg("Exception in a signal handler")
		return
	}
	if t.inputErr != nil && !t.headSent {
		// What the application makes of a broken request is not its own mistake.
		t.e.log.Debug().Str("traceback", traceback).Msg("Ignoring the application's exception: the request's content could not be read")
		return
	}
	if t.c.gone || t.py.Taken() || t.answer.taken() {
		t.e.log.Debug().Str("traceback", traceback).Msg("Ignoring the application's exception: the connection is not the server's any more")
		return
	}
	ev := t.e.log.Error().Str("traceback", traceback)
	switch {
	case phase == python.InClose:
		ev.Msgf("Error closing the response of request %s", t.requestLine())
	default:
		ev.Msgf("Error handling request %s", t.requestLine())
	}
}

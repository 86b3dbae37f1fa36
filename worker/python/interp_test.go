package python_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"gowsgi/protocol/http1"
	"gowsgi/protocol/ipc"
	"gowsgi/worker/python"
)

// interp is the interpreter of this process.
type interp struct {
	name  string
	calls chan func() // what the main thread shall do
	// main is the main thread's; workers are of the application's threads, which
	// run one function each.
	main    *runner
	workers [2]*runner
	errors  *os.File // the reading end of wsgi.errors
	logged  *os.File // its other end, open as long as the interpreter
	app     string   // the one loaded, "module:attr"
}

// lines are texts that are added on any thread.
type lines struct {
	mu  sync.Mutex
	all []string
}

// hookLog is what Python code has told Options.Log and Options.Signalled.
var hookLog lines

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

// take returns the lines and forgets them.
func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// runner is a thread that calls the application, and what it got from it.
type runner struct {
	*recorder
	py    *python.Thread
	rules http1.Rules
	mem   []byte // lent to C
	run   func() // the life of an application thread
}

// Run implements python.Handler.
func (r *runner) Run() { r.run() }

// Cut implements python.Handler; nothing here blocks.
func (r *runner) Cut() {}

func newRunner() *runner {
	r := &runner{recorder: new(recorder), rules: http1.Rules{Limits: http1.Limits{}.Normalize()}, mem: python.Alloc(1 << 20)}
	r.py = python.NewThread(r, r.rules.Fields)
	return r
}

// Values of the base environs.
var bases = []python.Base{
	{Vars: map[string]string{"SERVER_SOFTWARE": "gowsgi/test", "SCRIPT_NAME": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000"}},
	{Vars: map[string]string{"SERVER_NAME": "unix", "SERVER_PORT": ""}, Multithread: true, Multiprocess: true},
}

// host starts CPython on the main thread, lets run run the tests, and does there
// what they ask for.
func host(p ipc.Python, run func() int) int {
	r, w, err := os.Pipe()
	if err == nil {
		err = python.Start(python.Options{
			Library: p.Library, Executable: p.Executable, Argv: []string{"apps", "argument"},
			Path: []string{"/no/such/directory", "."}, FaultFD: 2,
			Log:       func(level, message, traceback string) { hookLog.add(level + "|" + message + "|" + traceback) },
			Signalled: func(number int) { hookLog.add(fmt.Sprint("signal ", number)) },
		})
		if err == nil {
			err = python.Hook("post_fork")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	name := p.Version
	if python.Parallel() {
		name += "t" // as gowsgitest.Interpreter.Name
	}
	py := &interp{name: name, calls: make(chan func()), errors: r, logged: w}
	for i := range py.workers {
		py.workers[i] = newRunner()
	}
	py.main = newRunner()
	for i := range bases {
		bases[i].ErrorFD = int(w.Fd())
	}
	if err := python.SetBases(bases); err == nil {
		err = python.UseSendfile()
	}
	if err == nil {
		err = python.SetWanted([]string{"wsgi.url_scheme", "remote_addr", "set.by.app", "missing"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	py.main.py.DetachMain()
	embedded = py
	code := make(chan int, 1)
	go func() { code <- run(); close(py.calls) }()
	for f := range py.calls {
		f()
	}
	py.main.py.Finalize()
	return <-code
}

// do runs f on the main thread, without the GIL. f must not end the test.
func (py *interp) do(f func()) {
	done := make(chan struct{})
	py.calls <- func() { defer close(done); f() }
	<-done
}

// load loads the application on the main thread, which may be left loaded.
func (py *interp) load(module, attr string) (err error) {
	py.app = module + ":" + attr
	py.do(func() {
		py.main.py.AttachMain()
		err = python.Load(module, attr)
		py.main.py.DetachMain()
	})
	return err
}

// use loads an application of apps.py unless it is loaded.
func (py *interp) use(t *testing.T, attr string) {
	t.Helper()
	if py.app == "apps:"+attr {
		return
	}
	if err := py.load("apps", attr); err != nil {
		t.Fatal(err)
	}
}

// request is what the server knows of a request.
type request struct {
	head         string // without the blank line; GET / when empty
	body         string
	stream       bool
	path, script string // PathInfo, "" for that of the head; ScriptName
	addr, port   string
	name, sport  string    // SERVER_NAME and SERVER_PORT
	proxy        [3]string // of a PROXY header
	https        bool
	listener     int
	waited       float64 // seconds in the queue
}

// call runs one request through the application that is loaded, on r's thread.
func (r *runner) call(q request) (python.Result, error) {
	if q.head == "" {
		q.head = "GET / HTTP/1.1\r\nHost: h"
	}
	mem := r.mem
	lend := func(s string) []byte {
		b := mem[:copy(mem, s):len(s)]
		mem = mem[len(s):]
		return b
	}
	buf := lend(q.head + "\r\n\r\n")
	r.py.Head.Reset()
	if err := r.py.Head.Parse(buf, &r.rules); err != nil {
		return 0, fmt.Errorf("%q: %w", q.head, err)
	}
	c := &python.Request{Buf: buf, Stream: q.stream, HTTPS: q.https, Listener: q.listener, QueueTime: q.waited}
	if q.path == "" {
		q.path = string(http1.AppendUnescaped(nil, r.py.Head.Path.Of(buf)))
	}
	c.PathInfo = lend(q.path)
	if q.script != "" {
		c.ScriptName = lend(q.script)
	}
	if q.body != "" {
		c.Body = lend(q.body)
	}
	c.RemoteAddr, c.RemotePort = lend(q.addr), lend(q.port)
	c.ServerName, c.ServerPort = lend(q.name), lend(q.sport)
	c.ProxyProtocol, c.ProxyAddr, c.ProxyPort = lend(q.proxy[0]), lend(q.proxy[1]), lend(q.proxy[2])
	return r.py.Call(c), nil
}

// call runs one request on the main thread and returns what the server got. With
// a prepared recorder, that one takes it.
func (py *interp) call(t *testing.T, q request, prepared ...*recorder) *recorder {
	t.Helper()
	got := new(recorder)
	if len(prepared) > 0 {
		got = prepared[0]
	}
	var err error
	py.do(func() {
		py.main.recorder = got
		got.result, err = py.main.call(q)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// run runs the body of an application function.
func (py *interp) run(t *testing.T, source string, prepared ...*recorder) *recorder {
	t.Helper()
	py.use(t, "script")
	return py.call(t, request{script: source}, prepared...)
}

// part is one call of Write.
type part struct {
	text           string
	last, mayBlock bool
}

// failure is one call of Failed.
type failure struct {
	phase python.Phase
	text  string
}

// recorder is the server's side: it keeps what it gets, answers by the rules of
// PEP 3333, and fails where it is told to.
type recorder struct {
	result   python.Result
	status   string
	headers  []string // "name: value"
	excInfo  bool     // of the last start_response
	hints    []string
	parts    []part
	flushes  int
	wanted   map[int]string
	failures []failure

	deaf     bool // keep nothing, allow all
	headSent bool
	refuse   string // start_response is refused for that reason
	ahead    bool   // every Write answers Wait
	goneAt   int    // the Write with which the client is gone, from 1
	stuck    bool   // Flush finds the client gone
	input    string // what ReadBody reads
	step     int    // in pieces of that size; 0: as it comes
	broken   string // why ReadBody fails after the input
	taken    int
	files    []string // what SendFile was given
	onWrite  func(p []byte, mayBlock bool)
}

func (r *recorder) body() string {
	var b strings.Builder
	for _, p := range r.parts {
		b.WriteString(p.text)
	}
	return b.String()
}

func list(h python.Headers) (list []string) {
	for i := range h.Len() {
		name, value := h.At(i)
		list = append(list, string(name)+": "+string(value))
	}
	return list
}

// StartResponse implements python.Handler.
func (r *recorder) StartResponse(status []byte, h python.Headers, excInfo bool) (python.Code, string) {
	switch {
	case r.deaf:
		return python.OK, ""
	case r.refuse != "":
		return python.Invalid, r.refuse
	case r.headSent && excInfo:
		return python.Sent, ""
	case r.status != "" && !excInfo:
		return python.Twice, ""
	}
	r.status, r.headers, r.excInfo = string(status), list(h), excInfo
	return python.OK, ""
}

// EarlyHints implements python.Handler.
func (r *recorder) EarlyHints(h python.Headers) (python.Code, string) {
	if r.refuse != "" {
		return python.Invalid, r.refuse
	}
	r.hints = append(r.hints, list(h)...)
	return python.OK, ""
}

// Take implements python.Handler.
func (r *recorder) Take() { r.taken++ }

// SendFile implements python.Handler: the content becomes one part.
func (r *recorder) SendFile(fd int, off, size int64) (python.Code, string) {
	f := os.NewFile(uintptr(fd), "sent")
	defer f.Close()
	if r.headSent {
		return python.Iterate, ""
	}
	if r.deaf {
		return python.OK, ""
	}
	if r.status == "" {
		return python.Invalid, "no start_response"
	}
	p := make([]byte, size)
	if _, err := f.ReadAt(p, off); err != nil {
		return python.Invalid, err.Error()
	}
	r.headSent = true
	r.files = append(r.files, string(p))
	return python.OK, ""
}

// Write implements python.Handler.
func (r *recorder) Write(p []byte, last, mayBlock bool) (python.Code, string) {
	if r.deaf {
		return python.OK, ""
	}
	if r.status == "" {
		return python.Invalid, "no start_response"
	}
	if r.onWrite != nil {
		r.onWrite(p, mayBlock)
	}
	r.headSent = r.headSent || len(p) > 0 || last
	r.parts = append(r.parts, part{string(p), last, mayBlock})
	if r.goneAt == len(r.parts) {
		return python.Gone, ""
	}
	if r.ahead && !mayBlock {
		return python.Wait, ""
	}
	return python.OK, ""
}

// Flush implements python.Handler.
func (r *recorder) Flush() python.Code {
	r.flushes++
	if r.stuck {
		return python.Gone
	}
	return python.OK
}

// ReadBody implements python.Handler.
func (r *recorder) ReadBody(p []byte) (int, string) {
	if r.input == "" && r.broken != "" {
		return -1, r.broken
	}
	if r.step > 0 {
		p = p[:min(len(p), r.step)]
	}
	n := copy(p, r.input)
	r.input = r.input[n:]
	return n, ""
}

// Environ implements python.Handler.
func (r *recorder) Environ(i int, value []byte) {
	if r.deaf {
		return
	}
	if r.wanted == nil {
		r.wanted = make(map[int]string)
	}
	r.wanted[i] = string(value)
}

// Conclude implements python.Handler.
func (r *recorder) Conclude(result python.Result) python.Ending {
	return python.Ending{Status: 200 + int(result), Sent: int64(len(r.body())), Outcome: "ended"}
}

// Failed implements python.Handler.
func (r *recorder) Failed(phase python.Phase, traceback string) {
	r.failures = append(r.failures, failure{phase, traceback})
}

// lastLine returns the line of a traceback that says what was raised.
func (f failure) lastLine() string {
	lines := strings.Split(strings.TrimRight(f.text, "\n"), "\n")
	return lines[len(lines)-1]
}

// readErrors returns n bytes of wsgi.errors.
func (py *interp) readErrors(n int) (string, error) {
	b := make([]byte, n)
	got, err := io.ReadFull(py.errors, b)
	return string(b[:got]), err
}

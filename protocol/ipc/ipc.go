// Package ipc is the contract between the master and its workers: which
// descriptors a worker inherits, what the two tell each other, and the layout
// of the scoreboard they share. Master and worker packages never import each
// other; what they agree on stands here.
//
//	master                                   worker
//	  | ExtraFiles: death, status, boot,       |
//	  |   scoreboard, hand-off, listener 0..n  |
//	  |--------------------------------------->| exec, environment EnvWorker=Version
//	  |                                        | reads Boot from FDBoot
//	  |                                        | starts CPython, imports the application
//	  |<------------- boot_failed -------------| (exits 3 or 4), or
//	  |<---------------- ready ----------------| serves
//	  |<--------------- recycle ---------------| max_requests reached, still serving
//	  |<--------------- timeout ---------------| a request took too long, still serving
//	  |---- SIGTERM: drain, SIGQUIT: stop ---->|
//	  |<---------------- stuck ----------------| drained but for such requests
//	  |<------------ EOF on status ------------| exit
//	  |------------ EOF on death ------------->| the master is gone: drain and leave
package ipc

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"
)

// EnvWorker marks a process as a worker. Its value is Version; the worker
// removes it before any application code runs. A hosted worker (HostArgs) has its
// mark among the arguments.
const EnvWorker = "GOWSGI_WORKER"

// Version changes whenever master and worker of two builds could not
// understand each other. The master re-executes its own inode, so a mismatch
// means that somebody started a worker by hand.
const Version = "3"

// HandoffVersion is the version of the messages in the hand-off queue. Workers of
// two builds, during an upgrade, share a queue only if it is the same.
const HandoffVersion = 2

// Descriptors a worker inherits through exec.Cmd.ExtraFiles. Every one of them
// is close-on-exec in the worker, so that nothing the application starts keeps
// a port open.
const (
	// FDDeath is the reading end of a pipe whose writing end only the master
	// holds and never writes to: EOF means the master is gone.
	FDDeath = 3
	// FDStatus is the writing end of a pipe for Messages, one JSON object a line.
	FDStatus = 4
	// FDBoot is a sealed memory file holding one JSON Boot.
	FDBoot = 5
	// FDScoreboard is the memory file of the Scoreboard.
	FDScoreboard = 6
	// FDHandoffRead and FDHandoffWrite are the two ends of the hand-off queue, one
	// SOCK_SEQPACKET socket pair that all workers share: whoever is idle takes
	// connections out of it. The master holds both ends, so a connection in the
	// queue survives every worker.
	FDHandoffRead  = 7
	FDHandoffWrite = 8
	// FDListeners is the first listener; they follow in the order of Boot.Listeners.
	FDListeners = 9
)

// Exit codes of a worker that could not start serving. They count only
// together with a KindBootFailed message: an application that calls
// os._exit(3) later is an ordinary death.
const (
	// ExitBoot means the application's import raised (gunicorn: WORKER_BOOT_ERROR).
	ExitBoot = 3
	// ExitApp means the module was imported but holds no usable application
	// (gunicorn: APP_LOAD_ERROR).
	ExitApp = 4
)

// StacksSignal makes a worker write the stacks of all Python threads to its error
// log: the last but one of the real-time signals, which nobody else uses.
const StacksSignal = unix.Signal(63)

// Boot is everything a worker is told before it starts.
type Boot struct {
	// Slot is the worker's place on the scoreboard.
	Slot int `json:"slot"`
	// Age counts the workers the master has started, from 1 (gunicorn: worker.age).
	Age int `json:"age"`
	// Argv is the command line of the master, for sys.argv.
	Argv []string `json:"argv"`
	// Check makes the worker load the application and leave: exit 0, or a
	// KindBootFailed message and its code (gunicorn: check_config).
	Check bool `json:"check,omitempty"`
	// Python is the interpreter to load.
	Python Python `json:"python"`
	// Listeners describes the inherited sockets, the first at FDListeners.
	Listeners []Listener `json:"listeners"`
	// Slots is the number of slots of the scoreboard.
	Slots int `json:"slots"`
	// Settings is the JSON of a config.Config.
	Settings json.RawMessage `json:"settings"`
}

// Listener describes one inherited listening socket.
type Listener struct {
	// Network is "tcp" or "unix".
	Network string `json:"network"`
	// Addr is the bound address: "127.0.0.1:8000", "[::1]:8000" or a path.
	Addr string `json:"addr"`
}

// Kind names a Message.
type Kind string

// What a worker says to its master.
const (
	// KindStarted: a spawner has forked the worker, whose process is PID. What the
	// master starts itself does not say so.
	KindStarted Kind = "started"
	// KindReady: the application is loaded and the worker accepts connections.
	KindReady Kind = "ready"
	// KindBootFailed: the application cannot be loaded; the worker exits with Code.
	KindBootFailed Kind = "boot_failed"
	// KindRecycle: the worker has served its share (max_requests) or needs more than
	// its share of memory (Message.Memory) and asks to be replaced; it goes on
	// serving until it gets SIGTERM.
	KindRecycle Kind = "recycle"
	// KindTimeout: a request took longer than timeout, namely Message.Took so far.
	// Its thread is lost; the worker goes on with the others until it is replaced.
	KindTimeout Kind = "timeout"
	// KindStuck: of a worker that drains nothing is left but such requests.
	KindStuck Kind = "stuck"
)

// KindFiles: the worker has imported Message.Files, with the reload setting only.
const KindFiles Kind = "files"

// Message is one line on FDStatus.
type Message struct {
	Kind Kind `json:"kind"`
	// PID is the worker's, for KindStarted.
	PID int `json:"pid,omitempty"`
	// Code is the exit code that follows KindBootFailed: ExitBoot or ExitApp.
	Code int `json:"code,omitempty"`
	// Error is one line that says why, for KindBootFailed.
	Error string `json:"error,omitempty"`
	// Traceback is the Python traceback, several lines, if there is one.
	Traceback string `json:"traceback,omitempty"`
	// Requests is the number of requests served, for KindRecycle.
	Requests uint64 `json:"requests,omitempty"`
	// Files are paths of Python modules, for KindFiles.
	Files []string `json:"files,omitempty"`
	// Took is how long the request has taken, for KindTimeout.
	Took time.Duration `json:"took,omitempty"`
	// Memory is the worker's memory in bytes, for KindRecycle because of it.
	Memory int64 `json:"memory,omitempty"`
}

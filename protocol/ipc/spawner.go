package ipc

import "encoding/json"

// The spawner, if there is one, is a process of the same binary with CPython and
// without Go, which forks the workers; see worker/python/spawn.c. It inherits a
// control socket (SOCK_SEQPACKET), on which each message is a JSON object: the
// master sends Orders, the spawner Reports. An order to fork is followed by a
// message of one byte with the worker's descriptors (SCM_RIGHTS), FDDeath first.
// The end of the socket ends the spawner.

// EnvSpawner marks a process as a spawner. EnvWorker is set beside it, for the
// workers it forks: Go reads the environment the process was executed with.
const EnvSpawner = "GOWSGI_SPAWNER"

// Descriptors a spawner inherits.
const (
	// FDControl is the spawner's end of the control socket.
	FDControl = 3
	// FDImage is a memory file: what the spawner begins with.
	FDImage = 4
)

// MaxSpawned is how many descriptors from FDDeath on a forked worker may have.
const MaxSpawned = 64

// Names of orders.
const (
	// OrderRead executes the configuration file File: a Python file at Path, or the
	// module Module. It is reported, with File. It comes first, or never.
	OrderRead = "read"
	// OrderPrepare makes the spawner what a worker is before it loads its
	// application. It is reported.
	OrderPrepare = "prepare"
	// OrderLoad loads the application if Preload is set, and makes what hooks see. It
	// comes after OrderPrepare and is reported.
	OrderLoad = "load"
	// OrderLog logs Message, a line of the master's, through Python's logging; Level
	// is as for python.Feed. When that is done it is reported by ReportLogged.
	OrderLog = "log"
	// OrderFork starts a worker, which sends KindStarted on its status pipe. Only
	// a failure is reported.
	OrderFork = "fork"
	// OrderHook runs the hook Hook of the server with further Args. It is reported.
	OrderHook = "hook"
	// OrderListening says that the master listens at Listeners, and which descriptor of
	// workers is the First of them.
	OrderListening = "listening"
	// OrderCapture makes the file Path the spawner's standard output and error, and
	// those of the workers it forks. What goes wrong is logged.
	OrderCapture = "capture"
	// OrderState asks for what hooks have stored on the server object. It is
	// reported, with State.
	OrderState = "state"
)

// Order is what the master wants of a spawner.
type Order struct {
	Order string `json:"order"`
	// For OrderPrepare: sys.argv, the directory to be in, that of the start and
	// others for sys.path, KEY=VALUE for the environment, the log's level, and the titles of
	// the spawner and of its workers.
	Argv        []string `json:"argv,omitempty"`
	Chdir       string   `json:"chdir,omitempty"`
	StartDir    string   `json:"start_dir,omitempty"`
	PythonPath  []string `json:"pythonpath,omitempty"`
	Env         []string `json:"env,omitempty"`
	LogLevel    string   `json:"loglevel,omitempty"`
	Title       string   `json:"title,omitempty"`
	WorkerTitle string   `json:"worker_title,omitempty"`
	// Logging has Python's logging set up as Settings say, before anything of the
	// application is loaded.
	Logging bool `json:"logging,omitempty"`
	// For OrderLoad: whether the application is loaded, and where it is.
	Preload bool   `json:"preload,omitempty"`
	Module  string `json:"module,omitempty"`
	Attr    string `json:"attr,omitempty"`
	// Identity is whom to become before the application is loaded, nil: nobody
	// else. Without Preload the workers do that themselves.
	Identity *Identity `json:"identity,omitempty"`
	// Settings is what server.cfg shows, for both; State is that of an earlier spawner.
	Settings map[string]any    `json:"settings,omitempty"`
	State    map[string]string `json:"state,omitempty"`
	// For OrderRead, with Argv and StartDir: what messages call the file, and where it is.
	File string `json:"file,omitempty"`
	Path string `json:"path,omitempty"`
	// For OrderFork: the worker's age, and the pids of workers that leave or that it is
	// to replace.
	Age     int   `json:"age,omitempty"`
	Leaving []int `json:"leaving,omitempty"`
	// For OrderHook.
	Hook string `json:"hook,omitempty"`
	Args []any  `json:"args,omitempty"`
	// For OrderListening.
	Listeners []Listener `json:"listeners,omitempty"`
	First     int        `json:"first,omitempty"`
	// For OrderLog.
	Level   string `json:"level,omitempty"`
	Message string `json:"message,omitempty"`
}

// Identity is a user, a group, and all supplementary groups.
type Identity struct {
	UID    int   `json:"uid"`
	GID    int   `json:"gid"`
	Groups []int `json:"groups"`
}

// Kinds of reports.
const (
	ReportDone   = "done"
	ReportFailed = "failed"
	// ReportLog is a line for the log: Level, Message, Traceback.
	ReportLog = "log"
	// ReportLogged says that the line of an OrderLog is logged.
	ReportLogged = "logged"
)

// Report is what a spawner says.
type Report struct {
	Kind string `json:"kind"`
	// Order is what was done or failed, Hook which of them.
	Order string `json:"order"`
	Hook  string `json:"hook,omitempty"`
	// File is the JSON of a config.Values, for OrderRead.
	File json.RawMessage `json:"file,omitempty"`
	// State is for OrderState.
	State map[string]string `json:"state,omitempty"`
	// Level is debug, info, warning, error or critical.
	Level   string `json:"level,omitempty"`
	Message string `json:"message,omitempty"`
	// Threads are those that were started in the spawner: workers have none of
	// them. For ReportDone of OrderLoad.
	Threads []string `json:"threads,omitempty"`
	// Code, Error and Traceback are those of a Message of KindBootFailed.
	Code      int    `json:"code,omitempty"`
	Error     string `json:"error,omitempty"`
	Traceback string `json:"traceback,omitempty"`
}

package ipc

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Modes of a Python.
const (
	// ModeDlopen: a worker is the server's binary and loads CPython as a library.
	ModeDlopen = "dlopen"
	// ModeHosted: a worker is the interpreter and loads the server as a library.
	ModeHosted = "hosted"
)

// Wanted says which Python is wanted. All may be empty.
type Wanted struct {
	// Python is an interpreter, a name on PATH, or a virtual environment.
	Python string
	// Mode is ModeDlopen or ModeHosted; anything else leaves the choice open.
	Mode string
	// Dir is the absolute directory of the application.
	Dir string
}

// Python names the interpreter of a worker, as the master found it.
type Python struct {
	// Executable is the absolute path of the interpreter, unresolved: in a
	// virtual environment it is the link that makes CPython find the environment.
	Executable string `json:"executable"`
	// Version is "3.11.7".
	Version string `json:"version"`
	// Library is the absolute path of the shared libpython, "" in a hosted worker.
	Library string `json:"library"`
	// Host is the server's own library that the interpreter of a hosted worker
	// loads, nil in ModeDlopen. It is open for as long as the master lives, so that
	// workers load what this master understands, whatever became of the file.
	Host *os.File `json:"-"`
	// Why says in a few words why it is that mode.
	Why string `json:"-"`
}

// Mode returns ModeDlopen or ModeHosted.
func (p Python) Mode() string {
	if p.Host != nil {
		return ModeHosted
	}
	return ModeDlopen
}

// HeldSignals are blocked when a hosted worker is executed: they are the server's,
// and until its library is loaded they would end the process. The worker unblocks
// them when it handles them.
func HeldSignals() []unix.Signal {
	return []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}
}

// Descriptors that a hosted spawner inherits: all that its workers will have from
// FDDeath on, something harmless so that nothing else gets these numbers, and its own
// behind them.
const (
	FDHostedControl = FDDeath + MaxSpawned + iota
	FDHostedImage
	FDHostedLibrary
)

// hostProgram has python execute what is on a descriptor. What it assigned would be
// in the application's __main__.
const hostProgram = `exec(compile(__import__("os").read(int(__import__("sys").argv[1]),1<<24),"<gowsgi>","exec"),{})`

// roleWorker is the role of a hosted worker; that of a spawner is the number of its
// control socket.
const roleWorker = "worker"

// HostArgs returns the arguments of an interpreter that is to host a worker, whose
// title is that: image is the descriptor of what python.HostImage returns, library
// that of Python.Host.
func HostArgs(p Python, image, library int, title string) []string {
	return hostArgs(p, image, roleWorker, library, title)
}

// HostSpawnerArgs is HostArgs of a spawner, with the descriptors above. room is how
// many bytes longer the title may become.
func HostSpawnerArgs(p Python, title string, room int) []string {
	args := hostArgs(p, FDHostedImage, strconv.Itoa(FDHostedControl), FDHostedLibrary, title)
	return append(args, make([]string, room)...)
}

func hostArgs(p Python, image int, role string, library int, title string) []string {
	return []string{p.Executable, "-c", hostProgram, strconv.Itoa(image), role, strconv.Itoa(library), Version, title}
}

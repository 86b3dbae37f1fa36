// Package spawner is the master's side of a spawner: a process that has CPython,
// and perhaps the application, loaded, and forks workers that share that memory.
// See worker/python/spawn.c for the other side. The package starts the process,
// sends it orders and receives its reports; whose child it is, when it has to end
// and who waits for it is the caller's business.
package spawner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"gowsgi/internal/sys"
	"gowsgi/protocol/ipc"
)

// Options are what a spawner is started with.
type Options struct {
	// Program is the binary, Title what ps shows.
	Program, Title string
	// Python is the interpreter. One that hosts its workers is the program itself.
	Python ipc.Python
	// Image is what python.SpawnerImage returns, or python.HostImage.
	Image []byte
	// Dir is the working directory, Env the environment.
	Dir string
	Env []string
	// Stdin, Stdout and Stderr are the standard streams, of the workers too.
	Stdin, Stdout, Stderr *os.File
}

// Process is a spawner. Its methods may be used by one goroutine at a time, but for Log.
type Process struct {
	// PID is the process's. It is the caller's child, and the caller waits for it.
	PID int
	// Threads are the names of threads that were started in it and that workers
	// will not have, as far as Do was told.
	Threads []string
	conn    *net.UnixConn
	queue   queue
	reports chan ipc.Report
	closed  chan struct{} // nobody reads reports any more
	discard sync.Once
}

// titleRoom is how many bytes the title may grow: empty arguments, which ps does
// not show.
const titleRoom = 200

// Start starts a spawner.
func Start(o Options) (*Process, error) {
	image, err := sys.SealedFile("gowsgi-image", o.Image)
	if err != nil {
		return nil, err
	}
	imageFile := os.NewFile(uintptr(image), "image")
	defer imageFile.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	own, theirs := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control")
	defer own.Close()
	defer theirs.Close()
	conn, err := net.FileConn(own) // a copy
	if err != nil {
		return nil, fmt.Errorf("the spawner's control socket: %w", err)
	}
	cmd := &exec.Cmd{
		Path: o.Program, Args: append([]string{o.Title}, make([]string, titleRoom)...), Dir: o.Dir,
		Env:   append(o.Env[:len(o.Env):len(o.Env)], ipc.EnvWorker+"="+ipc.Version, ipc.EnvSpawner+"="+ipc.Version),
		Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr,
		ExtraFiles: []*os.File{theirs, imageFile},
	}
	if o.Python.Host != nil {
		null, err := os.Open(os.DevNull)
		if err != nil {
			conn.Close()
			return nil, err
		}
		defer null.Close()
		cmd.Path, cmd.Env = o.Python.Executable, o.Env
		cmd.Args = ipc.HostSpawnerArgs(o.Python, o.Title, titleRoom)
		cmd.ExtraFiles = slices.Repeat([]*os.File{null}, ipc.MaxSpawned)
		cmd.ExtraFiles = append(cmd.ExtraFiles, theirs, imageFile, o.Python.Host)
	}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("starting the spawner: %w", err)
	}
	p := newProcess(cmd.Process.Pid, conn.(*net.UnixConn))
	return p, cmd.Process.Release()
}

func newProcess(pid int, conn *net.UnixConn) *Process {
	p := &Process{PID: pid, conn: conn, reports: make(chan ipc.Report), closed: make(chan struct{})}
	p.queue = queue{conn: p.conn, more: make(chan struct{}, 1), logged: make(chan struct{}, 1), done: make(chan struct{})}
	go p.queue.write() // until receive ends
	go p.receive()
	return p
}

// maxReport is the size of the largest message the kernel takes by default
// (net.core.wmem_max) and more.
const maxReport = 256 << 10

// receive reads reports until the spawner ends or Discard. What is no report ends
// it too. It closes the socket.
func (p *Process) receive() {
	defer close(p.reports)
	defer p.queue.end()
	defer p.conn.Close()
	buf := make([]byte, maxReport)
	for {
		n, err := p.conn.Read(buf)
		var r ipc.Report
		if err != nil || n == 0 || json.Unmarshal(buf[:n], &r) != nil {
			return
		}
		if r.Kind == ipc.ReportLogged {
			signal(p.queue.logged)
			continue
		}
		select {
		case p.reports <- r:
		case <-p.closed:
			return
		}
	}
}

// Reports returns what the spawner says. The channel is closed when it has ended,
// or cannot be understood. It is read by Do while that runs.
func (p *Process) Reports() <-chan ipc.Report { return p.reports }

// Send has an order sent. It does not block; an order that a spawner dies with is
// forgotten.
func (p *Process) Send(o *ipc.Order) error {
	e, err := newEntry(o)
	if err == nil && !p.queue.push(e) {
		err = errUnreachable
	}
	return err
}

func newEntry(o *ipc.Order) (e entry, err error) {
	e.text, err = json.Marshal(o)
	return e, err
}

// ErrGone says that the spawner ended while it had something to do.
var ErrGone = errors.New("the spawner has ended")

// Failure is a report of ReportFailed.
type Failure struct{ ipc.Report }

func (e *Failure) Error() string { return e.Report.Error }

// Do sends an order and waits for the report on it. Other reports meanwhile go to
// other. Errors are ErrGone, *Failure, and ctx.Err() if ctx ends first.
func (p *Process) Do(ctx context.Context, o *ipc.Order, other func(ipc.Report)) (ipc.Report, error) {
	if err := p.Send(o); err != nil {
		return ipc.Report{}, ErrGone
	}
	for {
		select {
		case r, ok := <-p.reports:
			switch {
			case !ok:
				return r, ErrGone
			case r.Order != o.Order:
				other(r)
			case r.Kind == ipc.ReportFailed:
				return r, &Failure{r}
			default:
				p.Threads = append(p.Threads, r.Threads...)
				return r, nil
			}
		case <-ctx.Done():
			return ipc.Report{}, ctx.Err()
		}
	}
}

// Fork orders a worker with these descriptors, ipc.FDDeath first, which the
// caller keeps. Leaving are the pids of workers that leave, or that it is to replace:
// hooks find them not alive.
func (p *Process) Fork(age int, leaving, fds []int) error {
	if len(fds) > ipc.MaxSpawned {
		return fmt.Errorf("%d descriptors for a worker, at most %d can be passed to it by the spawner", len(fds), ipc.MaxSpawned)
	}
	e, err := newEntry(&ipc.Order{Order: ipc.OrderFork, Age: age, Leaving: leaving})
	if err == nil {
		e.fds, err = copyAll(fds)
	}
	if err == nil && !p.queue.push(e) {
		closeAll(e.fds)
		err = errUnreachable
	}
	return err
}

// Close lets the spawner end: it does what it was ordered, runs exit handlers and
// leaves. Reports come until then. It may be called again.
func (p *Process) Close() {
	// Closing the socket would do more: with a report unread in it, the kernel
	// would throw away the orders that the spawner has not read.
	p.queue.push(entry{last: true})
}

// Discard is Close without anybody who reads reports any more. It may be called
// again.
func (p *Process) Discard() error {
	p.discard.Do(func() { close(p.closed) })
	if err := p.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

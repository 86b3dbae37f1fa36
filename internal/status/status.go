// Package status reads what a running master and its workers say of themselves,
// without asking them: the master's status and the scoreboards are memory files,
// which /proc shows to the same user and to root. Nothing is written, no signal is
// sent, and a master that is stopped or stuck can be looked at, too.
package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gowsgi/protocol/ipc"
)

// Report is a master's status and what its workers are doing.
type Report struct {
	ipc.Status
	// Workers takes the place of the one in Status.
	Workers []Worker `json:"workers"`
	// Ready is how many workers serve.
	Ready int `json:"ready"`
	// Requests, Errors and BytesOut are of all workers there ever were.
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	BytesOut uint64 `json:"bytes_out"`
}

// Worker is one worker.
type Worker struct {
	ipc.WorkerStatus
	Requests    uint64 `json:"requests"`
	Errors      uint64 `json:"errors"`
	BytesOut    uint64 `json:"bytes_out"`
	Connections int64  `json:"connections"`
	// RSS and PSS are the resident and the proportional set size in bytes, 0 if the
	// kernel does not tell.
	RSS int64 `json:"rss"`
	PSS int64 `json:"pss"`
	// SinceBeat is how many seconds ago its event loop turned, as far as is noted.
	SinceBeat float64   `json:"since_beat_s"`
	InFlight  []Request `json:"in_flight"`
}

// Request is one request in flight.
type Request struct {
	Addr    string  `json:"addr"`
	Method  string  `json:"method"`
	Target  string  `json:"target"`
	Seconds float64 `json:"seconds"`
	Phase   string  `json:"phase"`
}

// Healthy reports whether the service is as it should be: at least one worker
// serves, the last reload did not fail, and neither does the start of workers.
func (r *Report) Healthy() bool {
	return r.Ready > 0 && r.Reload.Failed == "" && r.Boot.Failed == ""
}

// Errors of Read and Find.
var (
	// ErrNoMaster means that the process is no gowsgi master, or not one that this
	// user may look at.
	ErrNoMaster = errors.New("no gowsgi master that can be looked at")
	// ErrMany means that there are several masters, and none was named.
	ErrMany = errors.New("there are several gowsgi masters: name one by --pid or --pidfile")
)

// Find returns the pid of the only master there is.
func Find() (int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	var found []int
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && pid != os.Getpid() && statusFD(pid) != "" {
			found = append(found, pid)
		}
	}
	switch len(found) {
	case 0:
		return 0, ErrNoMaster
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("%w: %v", ErrMany, found)
}

// statusFD returns the path by which the status of the master with that pid can be
// opened, "" if it is none.
func statusFD(pid int) string {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "/memfd:"+ipc.StatusFile+" ") {
			return link
		}
	}
	return ""
}

// Read returns the report of the master with that pid.
func Read(pid int) (*Report, error) {
	path := statusFD(pid)
	if path == "" {
		return nil, fmt.Errorf("process %d: %w", pid, ErrNoMaster)
	}
	r := new(Report)
	text, err := readAll(path)
	if err == nil {
		err = json.Unmarshal(text, &r.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the status of process %d: %w", pid, err)
	}
	if r.Layout != ipc.Version {
		return nil, fmt.Errorf("process %d is gowsgi %s, whose scoreboard this program (for %s) cannot read", pid, r.Version, ipc.Version)
	}
	r.Requests, r.Errors, r.BytesOut = r.Gone.Requests, r.Gone.Errors, r.Gone.BytesOut
	r.Workers = make([]Worker, 0, len(r.Status.Workers))
	clock := ipc.NewClock()
	for _, ws := range r.Status.Workers {
		w, err := readWorker(pid, ws, clock.Now())
		if err != nil {
			return nil, err
		}
		r.Requests, r.Errors, r.BytesOut = r.Requests+w.Requests, r.Errors+w.Errors, r.BytesOut+w.BytesOut
		if w.State == "serving" {
			r.Ready++
		}
		r.Workers = append(r.Workers, w)
	}
	return r, nil
}

// readAll reads a memory file from its start: the descriptor that is opened is a
// new one, with a position of its own.
func readAll(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// readWorker looks at one worker's slot.
func readWorker(master int, ws ipc.WorkerStatus, now int64) (Worker, error) {
	w := Worker{WorkerStatus: ws, InFlight: []Request{}}
	f, err := os.Open(fmt.Sprintf("/proc/%d/fd/%d", master, ws.Board))
	if err != nil {
		return w, fmt.Errorf("reading the scoreboard: %w", err)
	}
	defer f.Close()
	board, err := ipc.ReadScoreboard(int(f.Fd()), ws.Slots, ws.Threads)
	if err != nil {
		return w, err
	}
	defer board.Close()
	slot := board.Slot(ws.Slot)
	w.Requests, w.Errors, w.BytesOut = slot.Requests.Load(), slot.Errors.Load(), slot.BytesOut.Load()
	w.Connections = slot.Connections.Load()
	if beat := slot.Beat.Load(); beat != 0 {
		w.SinceBeat = time.Duration(now - beat).Seconds()
	}
	for i := range ws.Threads {
		if q, ok := board.Thread(ws.Slot, i).InFlight(now); ok {
			w.InFlight = append(w.InFlight, Request{q.Addr, q.Method, q.Target, q.Since.Seconds(), q.Phase.String()})
		}
	}
	w.RSS, w.PSS = memory(ws.PID)
	return w, nil
}

// memory returns the resident and the proportional set size of a process.
func memory(pid int) (rss, pss int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err == nil {
		return kilobytes(string(text), "Rss:"), kilobytes(string(text), "Pss:")
	}
	// Root alone may see that of a worker which changed its user.
	text, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	return kilobytes(string(text), "VmRSS:"), 0
}

// kilobytes returns the bytes of a line "Key:  123 kB".
func kilobytes(text, key string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

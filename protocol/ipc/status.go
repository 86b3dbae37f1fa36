package ipc

import "time"

// StatusFile is the name of the memory file in which a master keeps its Status, as
// it shows up in /proc/PID/fd: "/memfd:gowsgi-status (deleted)". Whoever may open
// that (the same user, or root) may know. The file is replaced as a whole and never
// changed, so that nobody reads half of one.
const StatusFile = "gowsgi-status"

// Status is what a master knows of its workers beyond what the scoreboards say.
// It is JSON, and fields are only ever added.
type Status struct {
	// Version is gowsgi's, Layout that of the scoreboards (ipc.Version).
	Version string `json:"version"`
	Layout  string `json:"layout"`
	PID     int    `json:"pid"`
	// App is the name of the processes.
	App string `json:"app"`
	// State is "starting" until all workers have been ready, then "running", and
	// "stopping" at the end.
	State string `json:"state"`
	// Started is when the master began.
	Started   time.Time `json:"started"`
	Listeners []string  `json:"listeners"`
	// Target is the wanted number of workers, Started how many there were so far.
	Target  int `json:"target"`
	Spawned int `json:"spawned"`
	// Twin is the pid of another master during an upgrade, 0 without one.
	Twin    int            `json:"twin,omitempty"`
	Reload  ReloadStatus   `json:"reload"`
	Boot    BootStatus     `json:"boot"`
	Gone    GoneStatus     `json:"gone"`
	Workers []WorkerStatus `json:"workers"`
}

// ReloadStatus is how reloads went.
type ReloadStatus struct {
	InProgress bool `json:"in_progress"`
	// Generation counts configurations from 1.
	Generation int `json:"generation"`
	// Failed is why the last reload failed, "" if it did not; FailedAt when.
	Failed    string     `json:"failed,omitempty"`
	FailedAt  *time.Time `json:"failed_at,omitempty"`
	Traceback string     `json:"traceback,omitempty"`
}

// BootStatus is how the start of workers goes, outside of reloads.
type BootStatus struct {
	// Failed is why the last worker to start did not get ready, "" if it did; FailedAt
	// when that was.
	Failed    string     `json:"failed,omitempty"`
	FailedAt  *time.Time `json:"failed_at,omitempty"`
	Traceback string     `json:"traceback,omitempty"`
	// Next is when the next one is started, if that has to wait.
	Next *time.Time `json:"next,omitempty"`
}

// GoneStatus adds up workers that are gone.
type GoneStatus struct {
	// Deaths is how many left without being asked to.
	Deaths   int    `json:"deaths"`
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	BytesOut uint64 `json:"bytes_out"`
}

// WorkerStatus is one worker.
type WorkerStatus struct {
	PID int `json:"pid"`
	Age int `json:"age"`
	// State is the master's view: booting, serving or draining.
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	// Replace says that it will be replaced.
	Replace bool `json:"replace,omitempty"`
	// Board is the descriptor of its scoreboard in the master, Slots, Threads and
	// Slot its place there.
	Board   int `json:"board"`
	Slots   int `json:"slots"`
	Threads int `json:"threads"`
	Slot    int `json:"slot"`
}

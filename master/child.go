package master

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"gowsgi/master/spawner"
	"gowsgi/protocol/ipc"
)

// worker is one worker process as the master sees it. Only the loop touches it.
type worker struct {
	// pid is 0 until a worker that the spawner forks has said who it is.
	pid int
	// spawner is who forks it, nil for one that was executed.
	spawner *spawner.Process
	// owed is the signal to send when the pid is known, 0 for none.
	owed  unix.Signal
	age   int // counts the workers of this master, from 1
	gen   *generation
	board *board
	slot  int

	state   state
	spawned time.Time
	wave    int // see backoff

	// A death is complete when both are known, in either order: the exit status
	// from the reaper, and everything the worker had written to its status pipe.
	status statusPipe
	exit   unix.WaitStatus
	maxRSS int64 // in bytes, at its peak
	// verdict is about a SIGKILL that was not the master's.
	verdict  verdict
	reaped   bool
	pipeDone bool

	// bootFailed is what the worker said before it gave up, nil if it did not.
	bootFailed *ipc.Message
	// stale: of an older generation than the reload in progress wants.
	stale bool
	// recycle: asked to be replaced.
	recycle bool
	// reopen: a USR1 to pass on once the worker can take one.
	reopen bool

	// killAt is when SIGKILL is due, zero for never; killWhy names the deadline
	// on the log, as in "killed after graceful timeout (30s)".
	killAt  time.Time
	killWhy string
	killed  bool
	// timedOut: it has a request that ran too long. The master ended it, stuck: for
	// such a request, hung: because its event loop stood still, bootTimedOut: because
	// the application did not load.
	timedOut, stuck, hung, bootTimedOut bool

	// replaces is the age of the worker whose place it takes, 0 for none.
	replaces int
	// surge: it is booting in surplus, in place of one that still serves.
	surge bool
	// retireAt is when its lifetime is over, zero for never.
	retireAt time.Time
	// slowBoot: the log has said that it takes long.
	slowBoot bool
	// beat is the last sign of life that was seen, silent for how long it has been
	// the last one while the master was looking.
	beat   int64
	silent time.Duration
}

// move changes the worker's state. An illegal move is a mistake in this package.
func (w *worker) move(to state) {
	if !canMove(w.state, to) {
		panic("master: worker cannot go from " + w.state.String() + " to " + to.String())
	}
	w.state = to
}

// replaceable reports whether it is live and to be replaced.
func (w *worker) replaceable() bool { return w.live() && (w.stale || w.recycle) }

// live reports whether the worker counts towards the wanted number.
func (w *worker) live() bool { return w.state == booting || w.state == serving }

// inFlight returns the requests the worker's slot holds, at the ipc.Clock time now.
func (w *worker) inFlight(now int64) []ipc.InFlight {
	var rs []ipc.InFlight
	for i := range w.board.sb.Threads() {
		if r, ok := w.board.sb.Thread(w.slot, i).InFlight(now); ok {
			rs = append(rs, r)
		}
	}
	return rs
}

// event is something the loop is told by another goroutine.
type event interface{ apply(*Master) }

// messageEvent is one message of a worker.
type messageEvent struct {
	w   *worker
	msg ipc.Message
}

// pipeDoneEvent says that a worker's status pipe is read to its end.
type pipeDoneEvent struct {
	w   *worker
	err error
}

// maxTalk bounds what one worker may say in its life, in bytes: the files it has
// imported are the most, and without the reload setting a boot failure
// with a long traceback is the most it has to tell.
const maxTalk = 8 << 20

var errBadMessage = errors.New("worker sent something that is no message")

// readStatus sends the worker's messages as events until the pipe ends, which
// the reaper brings about at the latest (statusPipe.Finish), or done is closed.
// It owns the pipe. Garbage ends the conversation but not the reading: a worker
// must never block on a full pipe.
func readStatus(w *worker, pipe statusPipe, events chan<- event, done <-chan struct{}) {
	defer pipe.Close()
	send := func(e event) bool {
		select {
		case events <- e:
			return true
		case <-done:
			return false
		}
	}
	dec := json.NewDecoder(io.LimitReader(pipe, maxTalk))
	for {
		var msg ipc.Message
		err := dec.Decode(&msg)
		if err == nil {
			if !send(messageEvent{w, msg}) {
				return
			}
			continue
		}
		// The limit ends the stream just as the worker's death does.
		if errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.Join(errBadMessage, err)
		}
		_, _ = io.Copy(io.Discard, pipe)
		send(pipeDoneEvent{w, err})
		return
	}
}

package master

import "fmt"

// state is where a worker is in its life, as the master knows it.
type state uint8

const (
	// booting: started, has not said ready.
	booting state = iota
	// serving: said ready, and nobody asked it to leave.
	serving
	// draining: was sent a signal to leave. It no longer counts as a worker.
	draining
	// gone: reaped, and its status pipe read to the end.
	gone
)

var stateNames = [...]string{booting: "booting", serving: "serving", draining: "draining", gone: "gone"}

func (s state) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// moves is the table of legal moves. A worker never comes back: what replaces
// it is a new process with a new record.
var moves = [...][]state{
	booting:  {serving, draining, gone},
	serving:  {draining, gone},
	draining: {gone},
	gone:     {},
}

// canMove reports whether a worker may go from one state to another.
func canMove(from, to state) bool {
	for _, s := range moves[from] {
		if s == to {
			return true
		}
	}
	return false
}

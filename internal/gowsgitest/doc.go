// Package gowsgitest runs the real gowsgi for tests: it builds the binary once
// per test process, starts servers on free ports, reads their logs line by line,
// talks to them over HTTP and over plain sockets, and at the end of a test
// insists that nothing is left: no process, no listening socket.
//
// Every wait has a deadline and waits for an event (a log line, an answer, the
// end of a process); nothing here sleeps and hopes.
//
// The tests need an environment with the packages of examples/requirements.txt:
// `make venv` makes examples/.venv, and GOWSGI_TEST_VENV names another one.
// GOWSGI_TEST_BINARY names a binary to test instead of building one.
package gowsgitest

import "time"

// Patience is how long a wait for something that must happen lasts before the
// test fails. It is generous because a loaded machine is not a fault of the
// server.
const Patience = 30 * time.Second

// tick is the pause between two looks at something that offers no event, such as
// the process table.
const tick = 5 * time.Millisecond

// Eventually calls ok until it returns true, and reports false when it did not
// within Patience. For what has no event to wait for.
func Eventually(ok func() bool) bool { return Within(Patience, ok) }

// Within is Eventually with a limit of its own.
func Within(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(tick) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

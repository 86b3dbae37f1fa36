// Package master is the process that owns the listening sockets and the
// workers: it binds, starts workers by re-executing its own binary, waits until
// each is ready, watches them, replaces those that die, reloads, and stops them.
// It runs no Python, parses no HTTP and uses no cgo, so no application and no
// client can bring it down. What it shares with the workers is protocol/ipc.
//
// One goroutine, the one that calls Run, owns all state of all workers. Others
// only send it events: one goroutine per worker reads its status pipe, os/signal
// delivers signals, and while a reload is being prepared one more runs
// Options.Reload. The loop never blocks on anything but its select, so no
// worker, signal or clock waits for another.
//
// Each turn of the loop takes one event and then brings the workers nearer to
// what is wanted (step): the right number, of the right generation, none beyond
// its deadline. Nothing is remembered about how a difference came about, so
// every order of deaths, signals and reloads ends in the same state.
//
//	            ready                 TERM, QUIT or ABRT sent
//	booting ------------> serving ------------------------------> draining
//	   |                     |                                       |
//	   |  death              |  death                                |  death
//	   +---------------------+------------------> gone <-------------+
package master

// Package integration tests the real gowsgi binary with real applications, over
// real sockets: what the master says on its log, how it ends, what clients get
// while workers die, reload and stop, and what an application sees. The
// applications are in testdata and in examples.
//
// The package holds only tests. They need the environment `make venv` makes.
package integration

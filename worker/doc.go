// Package worker is the worker process: it inherits the listeners from the master,
// starts CPython, imports the application, and serves requests until it is told
// to drain.
//
// # The engine
//
// A socket read, the parse, the Python call and the write happen on one OS thread,
// an application thread, without a goroutine switch. One thread at a time, the
// leader, waits for events and serves what it finds itself. While its call runs
// nobody polls, and a short call costs nothing more than that. A call that takes
// longer than a millisecond must not stop the I/O: the watcher, a goroutine that
// a plain thread tells of each such call, makes an idle application thread the
// leader, or leads itself, doing everything but Python, until one is free.
//
//	         wait for events <------------------------------+
//	               |                                        |
//	read, parse, request complete?  --no--> next event      |
//	               | yes                                    |
//	         call the application ---- within 1 ms ---------+
//	               |                                        |
//	          longer: the watcher passes the lead on;       |
//	          back from the call, take a queued request,    |
//	          lead if nobody does, or park -----------------+
//
// The engine's mutex guards connections and leadership. It is not held during
// calls and waits, so on the fast path it costs two uncontended operations.
//
// # What a connection costs
//
// A head, and content up to a bound, is read completely before an application
// thread is taken; a connection without unread bytes holds no buffer.
package worker

//go:build floor

package worker

import "gowsgi/worker/python"

// Built with the tag floor, a worker does everything it does for a request but
// enter Python: it gives one answer, that of the bench's hello. It is what the
// engine could reach on a machine if the application cost nothing, and is built
// by bench/run only.

var (
	floorStatus  = []byte("200 OK")
	floorHeaders = [][2][]byte{
		{[]byte("Content-Type"), []byte("text/plain")},
		{[]byte("Content-Length"), []byte("13")},
	}
	floorBody = []byte("Hello, World!")
)

// call stands for the application.
func (t *thread) call() python.Result {
	reason := t.resp.SetStatus(floorStatus)
	for _, h := range floorHeaders {
		reason += t.resp.AddHeader(h[0], h[1])
	}
	if reason += t.resp.Complete(); reason != "" {
		panic("worker: the constant answer is refused: " + reason)
	}
	if code, _ := t.Write(floorBody, true, false); code == python.Gone {
		return python.ClientGone
	}
	return python.Done
}

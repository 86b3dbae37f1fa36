package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gowsgi/internal/gowsgitest"
)

// TestAccessLogUnderChaos: clients that send all kinds of requests, whole, broken
// and given up, while workers are replaced and connections handed over: each leaves
// exactly one line.
func TestAccessLogUnderChaos(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run(threads+" threads", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access.log")
			s := start(t, "-w", "2", "--threads", threads, "--keep-alive", "30", "--access-logfile", path,
				"--access-logformat", `"%(r)s" %(s)s %(X)s`, "outputs")
			const clients, requests = 8, 40
			var running sync.WaitGroup
			for c := range clients {
				running.Go(func() {
					kept := new(*gowsgitest.Conn)
					for r := range requests {
						odd(s, kept, fmt.Sprintf("/one?id=%d.%d.", c, r))
					}
				})
			}
			stop := make(chan struct{})
			var replacing sync.WaitGroup
			replacing.Go(func() {
				for {
					for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU} {
						select {
						case <-stop:
							return
						case <-time.After(100 * time.Millisecond):
							s.Signal(sig)
						}
					}
				}
			})
			running.Wait()
			close(stop)
			replacing.Wait()
			counts := map[string]int{}
			complete := func() bool {
				text, _ := os.ReadFile(path)
				clear(counts)
				for line := range strings.Lines(string(text)) {
					if _, rest, ok := strings.Cut(line, "id="); ok {
						id, _, _ := strings.Cut(rest, ".!")
						counts[id]++
					}
				}
				return len(counts) >= clients*requests
			}
			gowsgitest.Eventually(complete)
			s.Stop()
			complete()
			for c := range clients {
				for r := range requests {
					if id := fmt.Sprintf("%d.%d", c, r); counts[id] != 1 {
						t.Errorf("request %s has %d lines, want 1", id, counts[id])
					}
				}
			}
		})
	}
}

// odd sends a request for the target, somehow. kept is a connection to go on with,
// or nil.
func odd(s *gowsgitest.Server, kept **gowsgitest.Conn, target string) {
	target += "!"
	whole := "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"
	c := s.Dial()
	defer c.Close()
	switch rand.IntN(8) {
	case 0:
		if *kept == nil {
			*kept = s.Dial()
		}
		(*kept).Send(whole)
		if r := (*kept).Response("GET"); r.Close {
			*kept = nil
		}
	case 1:
		c.Send("GET " + target + " HTTP/1.0\r\n\r\n")
		c.Rest()
	case 2:
		c.Send("junk " + target + "\r\n\r\n")
		c.Rest()
	case 3:
		c.Send("GET " + target + " HT")
	case 4:
		c.Send("POST " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	case 5:
		c.Send(whole)
	case 6:
		for i := range whole {
			c.Send(whole[i : i+1])
		}
		c.Response("GET")
	case 7:
		c.Send("GET " + target + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		c.Rest()
	}
}

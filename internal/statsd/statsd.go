// Package statsd sends gunicorn's metrics to a statsd daemon:
//
//	PREFIX.gunicorn.requests:37|c|@1.0|#TAGS
//	PREFIX.gunicorn.request.status.200:37|c|@1.0|#TAGS
//	PREFIX.gunicorn.request.duration:0.61|ms|#TAGS
//	PREFIX.gunicorn.workers:4|g|#TAGS
//
// gunicorn sends three datagrams for every request, from the thread that served it.
// Here counters are added up and sent once a second, which a daemon cannot tell, and
// durations one by one but many to a datagram, as the protocol allows. If there are
// more than maxDurations in a second, a random part of them is sent, with the rate
// ("|@0.25"). Nobody ever waits for the daemon, and what cannot be sent is lost.
package statsd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// interval is the time between two reports.
	interval = time.Second
	// maxDurations is how many durations a report has at most.
	maxDurations = 2000
	// maxPacket is how long a datagram may be in bytes. It passes any Ethernet
	// whole, beside the headers of IPv6 and UDP.
	maxPacket = 1432
	// patience bounds one attempt to connect, name look-up and all, or to send.
	patience = time.Second
	// maxStatus is the greatest status code there is, and one.
	maxStatus = 1000
)

// Address is where a statsd daemon listens. Network is "udp" or "unixgram".
type Address struct{ Network, Addr string }

// ParseAddress parses HOST, HOST:PORT, [V6]:PORT or unix://PATH; the port is 8125
// by default (gunicorn: statsd_host). Host names are not looked up.
func ParseAddress(s string) (Address, error) {
	if path, ok := unixPath(s); ok {
		if path == "" {
			return Address{}, errors.New("no path after unix://")
		}
		return Address{"unixgram", path}, nil
	}
	host, port := s, "8125"
	if strings.Contains(s, ":") && !strings.HasSuffix(s, "]") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return Address{}, errors.New("not HOST:PORT")
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return Address{}, errors.New("no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Address{}, fmt.Errorf("'%s' is not a valid port number", port)
	}
	return Address{"udp", net.JoinHostPort(host, port)}, nil
}

// unixPath returns what follows unix:// or unix:. Behind the latter a number is a
// port, of a host called unix (gunicorn: validate_statsd_address).
func unixPath(s string) (path string, ok bool) {
	if path, ok = strings.CutPrefix(s, "unix://"); ok {
		return path, true
	}
	path, ok = strings.CutPrefix(s, "unix:")
	return path, ok && strings.Trim(path, "0123456789") != ""
}

// Options are what a Client is made with.
type Options struct {
	Address Address
	// Prefix precedes every name, and Tags follow every value, if they are not
	// empty. Dots at the end of Prefix make no difference (gunicorn: statsd_prefix,
	// dogstatsd_tags).
	Prefix, Tags string
}

// Client reports to one daemon. It may be used concurrently; no method blocks but
// Close.
type Client struct {
	address      Address
	prefix, tags string
	quit         chan struct{} // closed by Close
	ended        chan struct{} // closed when the goroutine has ended
	now          chan struct{} // asks for a report before its time

	mu sync.Mutex
	// Since the last report, guarded by mu.
	requests int64
	statuses [maxStatus]int64
	// durations is a random sample of the seen ones.
	durations []time.Duration
	seen      int
	counts    map[string]int64
	gauges    map[string]int64
	values    []value

	// Of the goroutine alone.
	conn   net.Conn
	packet []byte
}

// value is one of a histogram.
type value struct {
	name string
	n    int64
}

// Open starts the goroutine that reports; Close ends it. It does not block, and that
// there is no daemon is no error.
func Open(o Options) *Client {
	c := &Client{
		address: o.Address,
		quit:    make(chan struct{}),
		ended:   make(chan struct{}),
		now:     make(chan struct{}, 1),
		counts:  map[string]int64{},
		gauges:  map[string]int64{},
	}
	if prefix := strings.TrimRight(o.Prefix, "."); prefix != "" {
		c.prefix = prefix + "."
	}
	if o.Tags != "" {
		c.tags = "|#" + o.Tags
	}
	go c.run()
	return c
}

// Request counts a request that ended with a status, 0 for none. If it was served,
// not just refused, the time that took counts, too.
func (c *Client) Request(status int, served bool, took time.Duration) {
	c.mu.Lock()
	c.requests++
	if status > 0 && status < maxStatus {
		c.statuses[status]++
	}
	if served {
		c.sample(took)
	}
	c.mu.Unlock()
}

// sample keeps a duration, or with a probability that makes all of an interval
// equally likely (Vitter's algorithm R). c.mu is held.
func (c *Client) sample(took time.Duration) {
	c.seen++
	if len(c.durations) < maxDurations {
		c.durations = append(c.durations, took)
	} else if i := rand.IntN(c.seen); i < maxDurations {
		c.durations[i] = took
	}
}

// Event implements logging.Sink: it counts what gunicorn does (gunicorn.log.error
// and so on). An error with a traceback is an exception.
func (c *Client) Event(level string, _ []byte, traceback bool) {
	switch {
	case level != "critical" && level != "error" && level != "warning":
		return
	case level == "error" && traceback:
		level = "exception"
	}
	c.mu.Lock()
	c.counts["gunicorn.log."+level]++
	c.mu.Unlock()
}

// Gauge reports the value of a gauge, at once.
func (c *Client) Gauge(name string, n int64) {
	c.mu.Lock()
	c.gauges[name] = n
	c.mu.Unlock()
	select {
	case c.now <- struct{}{}:
	default:
	}
}

// Histogram reports a value of a histogram with the next report.
func (c *Client) Histogram(name string, n int64) {
	c.mu.Lock()
	if len(c.values) < maxDurations {
		c.values = append(c.values, value{name, n})
	}
	c.mu.Unlock()
}

// Close reports what is left and ends the goroutine. It returns when that is done,
// or after wait. It may be called more than once.
func (c *Client) Close(wait time.Duration) {
	c.mu.Lock()
	select {
	case <-c.quit:
	default:
		close(c.quit)
	}
	c.mu.Unlock()
	select {
	case <-c.ended:
	case <-time.After(wait):
	}
}

// run is the goroutine.
func (c *Client) run() {
	defer close(c.ended)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.now:
		case <-c.quit:
			c.report()
			if c.conn != nil {
				_ = c.conn.Close()
			}
			return
		}
		c.report()
	}
}

// report sends everything that was counted since the last report.
func (c *Client) report() {
	c.mu.Lock()
	requests, statuses, counts, gauges := c.requests, c.statuses, c.counts, c.gauges
	durations, seen, values := c.durations, c.seen, c.values
	if requests > 0 {
		c.requests, c.statuses = 0, [maxStatus]int64{}
		c.durations, c.seen = make([]time.Duration, 0, len(durations)), 0
	}
	if len(counts)+len(gauges)+len(values) > 0 {
		c.counts, c.gauges, c.values = map[string]int64{}, map[string]int64{}, nil
	}
	c.mu.Unlock()

	if requests > 0 {
		c.count("gunicorn.requests", requests)
		for status, n := range statuses {
			if n > 0 {
				c.count("gunicorn.request.status."+strconv.Itoa(status), n)
			}
		}
	}
	rate := ""
	if seen > len(durations) {
		rate = "|@" + strconv.FormatFloat(float64(len(durations))/float64(seen), 'g', 6, 64)
	}
	for _, d := range durations {
		c.add("gunicorn.request.duration", strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64), "|ms"+rate)
	}
	for name, n := range counts {
		c.count(name, n)
	}
	for name, n := range gauges {
		c.add(name, strconv.FormatInt(n, 10), "|g")
	}
	for _, v := range values {
		c.add(v.name, strconv.FormatInt(v.n, 10), "|h")
	}
	c.send()
}

func (c *Client) count(name string, n int64) { c.add(name, strconv.FormatInt(n, 10), "|c|@1.0") }

// add puts a metric into the packet, and sends what was there if that is full.
func (c *Client) add(name, value, kind string) {
	n := len(c.prefix) + len(name) + len(":") + len(value) + len(kind) + len(c.tags)
	if len(c.packet) > 0 && len(c.packet)+len("\n")+n > maxPacket {
		c.send()
	}
	if len(c.packet) > 0 {
		c.packet = append(c.packet, '\n')
	}
	c.packet = append(append(append(c.packet, c.prefix...), name...), ':')
	c.packet = append(append(append(c.packet, value...), kind...), c.tags...)
}

// send sends the packet. It is lost if nobody is there to take it.
func (c *Client) send() {
	if len(c.packet) == 0 {
		return
	}
	defer func() { c.packet = c.packet[:0] }()
	for range 2 { // the second time to a daemon that was started anew
		if c.conn == nil {
			conn, err := net.DialTimeout(c.address.Network, c.address.Addr, patience)
			if err != nil {
				return
			}
			c.conn = conn
		}
		if c.conn.SetWriteDeadline(time.Now().Add(patience)) == nil {
			if _, err := c.conn.Write(c.packet); err == nil {
				return
			}
		}
		_ = c.conn.Close()
		c.conn = nil
	}
}

package status

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes the report as text for people. What clients have sent is quoted.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%s: gowsgi %s, master %d, %s for %s\n", r.App, r.Version, r.PID, r.State, ago(r.Started))
	if len(r.Listeners) > 0 {
		fmt.Fprintf(w, "listening at %s\n", strings.Join(r.Listeners, ", "))
	}
	if r.Twin != 0 {
		fmt.Fprintf(w, "upgrade in progress: the other master is %d\n", r.Twin)
	}
	fmt.Fprintf(w, "%d of %d workers ready, %d started so far, %d died\n", r.Ready, r.Target, r.Spawned, r.Gone.Deaths)
	fmt.Fprintf(w, "%d requests, %d with status 5xx, %s sent\n", r.Requests, r.Errors, size(int64(r.BytesOut)))
	if r.Reload.InProgress {
		fmt.Fprintln(w, "reload in progress")
	}
	if r.Reload.Failed != "" {
		fmt.Fprintf(w, "LAST RELOAD FAILED %s ago: %s\n", ago(*r.Reload.FailedAt), r.Reload.Failed)
		if r.Reload.Traceback != "" {
			fmt.Fprintln(w, strings.TrimRight(r.Reload.Traceback, "\n"))
		}
	}
	if len(r.Workers) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PID\tAGE\tSTATE\tUP\tREQUESTS\t5XX\tCONNS\tBUSY\tRSS\tPSS")
	for _, k := range r.Workers {
		state := k.State
		if k.Replace {
			state += ", to be replaced"
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%d\t%d\t%d\t%d/%d\t%s\t%s\n", k.PID, k.Age, state, ago(k.Started),
			k.Requests, k.Errors, k.Connections, len(k.InFlight), k.Threads, size(k.RSS), size(k.PSS))
	}
	_ = t.Flush()
	for _, k := range r.Workers {
		for _, q := range k.InFlight {
			fmt.Fprintf(w, "%d: %q for %.1fs, %s, from %s\n", k.PID, strings.TrimSpace(q.Method+" "+q.Target), q.Seconds, q.Phase, orDash(q.Addr))
		}
	}
}

func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() }

// size formats a number of bytes, "-" for none.
func size(n int64) string {
	switch {
	case n <= 0:
		return "-"
	case n < 1<<20:
		return fmt.Sprintf("%.0fK", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1fM", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2fG", float64(n)/(1<<30))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

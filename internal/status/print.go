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
	printFailure(w, "LAST RELOAD FAILED", r.Reload.FailedAt, r.Reload.Failed, r.Reload.Traceback)
	printFailure(w, "WORKERS DO NOT START: LAST TRIED", r.Boot.FailedAt, r.Boot.Failed, r.Boot.Traceback)
	if r.Boot.Next != nil {
		fmt.Fprintf(w, "next worker in %.1fs\n", max(time.Until(*r.Boot.Next), 0).Seconds())
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

// printFailure says what failed and when, if something did.
func printFailure(w io.Writer, what string, at *time.Time, reason, traceback string) {
	if reason == "" || at == nil {
		return
	}
	fmt.Fprintf(w, "%s %s ago: %s\n", what, ago(*at), reason)
	if traceback != "" {
		fmt.Fprintln(w, strings.TrimRight(traceback, "\n"))
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

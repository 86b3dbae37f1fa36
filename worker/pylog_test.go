package worker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gowsgi/internal/logging"
	"gowsgi/protocol/ipc"
)

// TestPyLogLosesNothing: what Python does not take is on the file, in order: what
// has no room in the queue at once, what is in it when the process ends then, and
// everything after that.
func TestPyLogLosesNothing(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	l := newPyLog(&file, logging.New(&file, logging.FormatText, "info", 1))
	log := logging.New(l, logging.FormatText, "info", 1)
	for i := range pyLogLines {
		log.Info().Str("traceback", "second line").Msgf("line %d", i)
	}
	if file.Len() != 0 {
		t.Fatalf("the file has %q although there was room", file.String())
	}
	log.Info().Msg("no room")
	if !strings.HasSuffix(file.String(), "[INFO] no room\n") {
		t.Errorf("got %q", file.String())
	}
	file.Reset()
	l.Reopen() // leaves no line
	l.Request(&ipc.LoggedRequest{Addr: "192.0.2.1", Target: "a\nb", Status: 400, Outcome: "refused"})
	l.Close(0)
	l.Close(0)
	log.Error().Msg("after the end")
	lines := strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
	if len(lines) != 2*pyLogLines+2 {
		t.Fatalf("got %d lines, want %d", len(lines), 2*pyLogLines+2)
	}
	for i := range pyLogLines {
		if want := fmt.Sprintf("[INFO] line %d", i); !strings.HasSuffix(lines[2*i], want) || lines[2*i+1] != "second line" {
			t.Errorf("got %q and %q, want %q", lines[2*i], lines[2*i+1], want)
		}
	}
	if got, want := lines[2*pyLogLines], `Request that Python has not logged: 192.0.2.1 "a\nb" 400 0 (refused)`; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(last, "[ERROR] after the end") {
		t.Errorf("got %q at the end", last)
	}
}

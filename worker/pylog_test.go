package worker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"gowsgi/internal/logging"
)

// TestPyLogLosesNothing: what Python does not take is on the file, in order: what
// has no room in the queue at once, what is in it when the process ends then, and
// everything after that.
func TestPyLogLosesNothing(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	l := newPyLog(&file, logging.New(&file, logging.FormatText, "info", 1))
	log := logging.New(l, logging.FormatText, "info", 1)
	for i := range pyLogQueue {
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
	l.Reopen() // no room for that either, and no line
	l.Close(0)
	l.Close(0)
	log.Error().Msg("after the end")
	lines := strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
	if len(lines) != 2*pyLogQueue+1 {
		t.Fatalf("got %d lines, want %d", len(lines), 2*pyLogQueue+1)
	}
	for i := range pyLogQueue {
		if want := fmt.Sprintf("[INFO] line %d", i); !strings.HasSuffix(lines[2*i], want) || lines[2*i+1] != "second line" {
			t.Errorf("got %q and %q, want %q", lines[2*i], lines[2*i+1], want)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(last, "[ERROR] after the end") {
		t.Errorf("got %q at the end", last)
	}
}

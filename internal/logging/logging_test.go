package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// fixed returns a logger with a known time, and what it writes.
func fixed(format, level string) (zerolog.Logger, *countingBuffer) {
	var out countingBuffer
	now := func() time.Time {
		return time.Date(2026, 11, 22, 16, 49, 46, 123_456_789, time.FixedZone("", 3600))
	}
	w := &writer{w: &out, now: now, pid: "14017", json: format == FormatJSON}
	return zerolog.New(w).Level(ParseLevel(level)), &out
}

// countingBuffer counts the writes: each event must be one.
type countingBuffer struct {
	bytes.Buffer
	writes int
}

func (b *countingBuffer) Write(p []byte) (int, error) {
	b.writes++
	return b.Buffer.Write(p)
}

func TestText(t *testing.T) {
	t.Parallel()
	const head = "[2026-11-22 16:49:46 +0100] [14017] "
	for _, tt := range []struct {
		name string
		log  func(l *zerolog.Logger)
		want string
	}{
		{"info", func(l *zerolog.Logger) { l.Info().Msg("Starting gowsgi 0.1.0") }, "[INFO] Starting gowsgi 0.1.0\n"},
		{"debug", func(l *zerolog.Logger) { l.Debug().Msg("x") }, "[DEBUG] x\n"},
		{"warning", func(l *zerolog.Logger) { l.Warn().Msg("x") }, "[WARNING] x\n"},
		{"error", func(l *zerolog.Logger) { l.Error().Msg("x") }, "[ERROR] x\n"},
		{"critical does not exit", func(l *zerolog.Logger) { Critical(l).Msg("x") }, "[CRITICAL] x\n"},
		{"typed fields stay out", func(l *zerolog.Logger) { l.Info().Int("worker", 7).Msg("x") }, "[INFO] x\n"},
		{"error is appended", func(l *zerolog.Logger) { l.Error().Err(errors.New("no luck")).Msg("x") }, "[ERROR] x: no luck\n"},
		{"error alone", func(l *zerolog.Logger) { l.Error().Err(errors.New("no luck")).Send() }, "[ERROR] no luck\n"},
		{"odd error field", func(l *zerolog.Logger) { l.Error().Int("error", 7).Msg("x") }, "[ERROR] x: 7\n"},
		{
			"odd message field", func(l *zerolog.Logger) { l.Error().Int("message", 7).Send() },
			`[ERROR] {"level":"error","message":7}` + "\n",
		},
		{
			"traceback", func(l *zerolog.Logger) {
				l.Error().Str(FieldTraceback, "Traceback:\n  File \"a.py\"\n\tx\nValueError: no\n").Msg("Exception in worker process")
			},
			"[ERROR] Exception in worker process\nTraceback:\n  File \"a.py\"\n\tx\nValueError: no\n",
		},
		{
			"traceback line like an event", func(l *zerolog.Logger) {
				l.Error().Str(FieldTraceback, "a\n[2026-11-22 16:49:46 +0100] [1] [INFO] forged").Msg("x")
			},
			"[ERROR] x\na\n [2026-11-22 16:49:46 +0100] [1] [INFO] forged\n",
		},
		{
			"message with controls", func(l *zerolog.Logger) { l.Info().Msg("a\nb\rc\td\x1b[31m\x00\x7f\u0085\u2028\u2029\\n") },
			`[INFO] a\nb\rc\td\x1b[31m\x00\x7f\u0085\u2028\u2029\n` + "\n",
		},
		{
			"error with a line feed", func(l *zerolog.Logger) { l.Info().Err(errors.New("a\n[forged")).Msg("x") },
			`[INFO] x: a\n[forged` + "\n",
		},
		{
			"traceback with controls", func(l *zerolog.Logger) { l.Info().Str(FieldTraceback, "a\r\nb\x1b\v\tc").Msg("x") },
			"[INFO] x\n" + `a\r` + "\n" + `b\x1b\x0b` + "\tc\n",
		},
		{"not UTF-8", func(l *zerolog.Logger) { l.Info().Msg("a\xffb\xc3") }, "[INFO] a\ufffdb\ufffd\n"},
		{"UTF-8", func(l *zerolog.Logger) { l.Info().Msg("größe 日本") }, "[INFO] größe 日本\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, out := fixed(FormatText, "debug")
			tt.log(&l)
			if got := out.String(); got != head+tt.want {
				t.Errorf("got\n%q, want\n%q", got, head+tt.want)
			}
			if out.writes != 1 {
				t.Errorf("%d writes, want 1", out.writes)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	const head = `{"time":"2026-11-22T16:49:46.123+01:00",`
	for _, tt := range []struct {
		name string
		log  func(l *zerolog.Logger)
		want string
	}{
		{
			"fields", func(l *zerolog.Logger) { l.Info().Int("worker", 7).Str("signal", "SIGHUP").Msg("x") },
			`"level":"info","pid":14017,"worker":7,"signal":"SIGHUP","message":"x"}`,
		},
		{"critical", func(l *zerolog.Logger) { Critical(l).Msg("x") }, `"level":"critical","pid":14017,"message":"x"}`},
		{"warning", func(l *zerolog.Logger) { l.Warn().Msg("x") }, `"level":"warning","pid":14017,"message":"x"}`},
		{"no level", func(l *zerolog.Logger) { l.Log().Msg("x") }, `"level":"info","pid":14017,"message":"x"}`},
		{"nothing", func(l *zerolog.Logger) { l.Log().Send() }, `"level":"info","pid":14017}`},
		{
			"controls and bad UTF-8", func(l *zerolog.Logger) { l.Info().Str("target", "a\nb\xff\x1b").Msg("x") },
			`"level":"info","pid":14017,"target":"a\nb\ufffd\u001b","message":"x"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, out := fixed(FormatJSON, "debug")
			tt.log(&l)
			if got := out.String(); got != head+tt.want+"\n" {
				t.Errorf("got\n%s, want\n%s", got, head+tt.want)
			}
			if !json.Valid(out.Bytes()) {
				t.Error("not JSON")
			}
		})
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		level string
		want  string
	}{
		{"debug", "debug info warning error critical"},
		{"info", "info warning error critical"},
		{"warning", "warning error critical"},
		{"error", "error critical"},
		{"critical", "critical"},
		{"no such word", "info warning error critical"},
	} {
		t.Run(tt.level, func(t *testing.T) {
			t.Parallel()
			l, out := fixed(FormatText, tt.level)
			l.Debug().Msg("debug")
			l.Info().Msg("info")
			l.Warn().Msg("warning")
			l.Error().Msg("error")
			Critical(&l).Msg("critical")
			got := regexp.MustCompile(`(?m)^.*\] `).ReplaceAllString(out.String(), "")
			if got = strings.Join(strings.Fields(got), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNew checks what the tests above replace: the clock and the process's pid.
func TestNew(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := New(&out, FormatText, "info", 42)
	before := time.Now().Truncate(time.Second)
	l.Info().Msg("x")
	m := regexp.MustCompile(`^\[(.{25})\] \[42\] \[INFO\] x\n$`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("got %q", out.String())
	}
	at, err := time.Parse("2006-01-02 15:04:05 -0700", m[1])
	if err != nil || at.Before(before) || at.After(time.Now()) {
		t.Errorf("time %q (%v), want now", m[1], err)
	}
}

// FuzzTextIsNotForgeable: whatever an application or a client puts into an
// event, only its first line looks like one and no control character is in it.
func FuzzTextIsNotForgeable(f *testing.F) {
	f.Add("a\n[2026]", "b\r\n[", "c\n[x\n\n[y")
	f.Add("\x1b]0;t\x07", "\xff\xfe", "\u2028[")
	f.Fuzz(func(t *testing.T, message, reason, traceback string) {
		l, out := fixed(FormatText, "debug")
		l.Error().Err(errors.New(reason)).Str(FieldTraceback, traceback).Msg(message)
		got := out.String()
		if !strings.HasSuffix(got, "\n") {
			t.Fatalf("%q does not end a line", got)
		}
		for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
			if strings.HasPrefix(line, "[") != (i == 0) {
				t.Errorf("line %d of %q starts wrongly", i, got)
			}
			for _, r := range line {
				if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
					t.Errorf("line %d of %q has %U", i, got, r)
				}
			}
		}
	})
}

// memory is a Sink that keeps what it is told.
type memory struct{ events []string }

func (m *memory) Event(level string, text []byte, traceback bool) {
	m.events = append(m.events, fmt.Sprintf("%s %q %t", level, text, traceback))
}

// TestSinks: each gets the events that are logged, in text, whatever the form.
func TestSinks(t *testing.T) {
	t.Parallel()
	for _, format := range []string{FormatText, FormatJSON} {
		one, two := new(memory), new(memory)
		log := New(io.Discard, format, "info", 1, one, two)
		log.Debug().Msg("not shown")
		log.Info().Int("n", 1).Msg("past\ntense")
		log.Warn().Err(errors.New("why")).Msg("so")
		log.Error().Str(FieldTraceback, "Traceback:\n  [x]\n[y]\n").Msg("raised")
		Critical(&log).Msg("")
		want := []string{
			`info "past\\ntense" false`, `warning "so: why" false`,
			`error "raised\nTraceback:\n  [x]\n [y]" true`, `critical "" false`,
		}
		for _, m := range []*memory{one, two} {
			if !slices.Equal(m.events, want) {
				t.Errorf("%s: got %q, want %q", format, m.events, want)
			}
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, message, traceback, want string }{
		{"one", "one", "", "one\n"},
		{"several", "one\ntwo\n\nthree\n", "", "one\ntwo\n\nthree\n"},
		{"traceback", "one", "Traceback\n  x\n", "one\nTraceback\n  x\n"},
		{"both", "one\ntwo", "Traceback\n", "one\ntwo\nTraceback\n"},
		{"forged", "one\n[2026-01-01 00:00:00 +0000] [1] [INFO] two", "", "one\n [2026-01-01 00:00:00 +0000] [1] [INFO] two\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			l := New(&out, FormatText, "info", 1)
			Lines(l.Info(), tt.message, tt.traceback)
			if _, got, _ := strings.Cut(out.String(), "[INFO] "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

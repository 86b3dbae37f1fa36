package master

import (
	"io"
	"sync"

	"github.com/rs/zerolog"

	"gowsgi/internal/logging"
	"gowsgi/master/spawner"
)

// pyLog takes the master's lines to Python's logging, if that is configured: to the
// spawner, which has it. Lines before there is one wait for it; what a spawner cannot
// log, because it is dead or a handler of its loggers is stuck, goes to the file of
// the error log, so that no line is lost and nobody waits.
type pyLog struct {
	mu sync.Mutex
	// Below: guarded by mu. file is that of the error log, direct writes lines to it.
	file    io.Writer
	direct  zerolog.Logger
	to      *spawner.Process // nil: none
	holding bool
	held    []pyLine
}

type pyLine struct{ level, text string }

// heldMax bounds the lines that wait for the first spawner.
const heldMax = 256

// open says where lines go that Python does not log.
func (l *pyLog) open(file io.Writer, direct zerolog.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file, l.direct = file, direct
}

// hold keeps lines until attach.
func (l *pyLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holding = true
}

// attach has lines logged by p from now on, behind those that were held; by nobody if
// it is nil.
func (l *pyLog) attach(p *spawner.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held
	l.to, l.holding, l.held = p, false, nil
	for _, line := range held {
		if !l.logLocked(line) {
			l.writeLocked(line)
		}
	}
}

// Write implements io.Writer: what is not diverted goes to the file.
func (l *pyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	file := l.file
	l.mu.Unlock()
	return file.Write(p)
}

// Divert implements logging.Diverter.
func (l *pyLog) Divert(level string, text []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := pyLine{level, string(text)}
	if l.holding && len(l.held) < heldMax {
		l.held = append(l.held, line)
		return true
	}
	return l.logLocked(line)
}

// Reopen has the files of Python's loggers opened anew, behind the lines before it.
func (l *pyLog) Reopen() { l.Divert("", nil) }

// request has a request on Python's access log; lost is called if that cannot be.
func (l *pyLog) request(text string, lost func()) {
	l.mu.Lock()
	to := l.to
	l.mu.Unlock()
	if to == nil || !to.Log("request", text, lost) {
		lost()
	}
}

func (l *pyLog) logLocked(line pyLine) bool {
	return l.to != nil && l.to.Log(line.level, line.text, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.writeLocked(line)
	})
}

func (l *pyLog) writeLocked(line pyLine) {
	if line.level != "" {
		logging.Lines(l.direct.WithLevel(logging.ParseLevel(line.level)), line.text, "")
	}
}

// attachLog has the master's lines logged by the spawner of the current generation.
func (m *Master) attachLog() {
	p := m.gen.spawner
	if p != nil && !m.gen.cfg.PythonLogging() {
		p = nil
	}
	m.pyLog.attach(p)
}

package accesslog

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Pen writes lines into a Log. It may be used by one goroutine at a time.
type Pen struct {
	log  *Log
	line []byte
	// stamp is the time as %(t)s shows it, iso as the JSON form does up to the
	// second; both from the Clock time second until stampUntil.
	stamp, iso         []byte
	second, stampUntil int64
}

// NewPen returns a pen for the log.
func (l *Log) NewPen() *Pen { return &Pen{log: l} }

// Write logs a request that is over.
func (p *Pen) Write(e *Entry, end *Ending) {
	if p.log.excludes(e.Path) && end.unremarkable() {
		return
	}
	p.tick(end.End)
	b := p.line[:0]
	for i := range p.log.format.atoms {
		a := &p.log.format.atoms[i]
		from := len(b)
		switch {
		case a.kind == literal:
			b = append(b, a.text...)
			continue
		case a.ending:
			b = p.appendEnding(b, a, end)
		default:
			b = p.appendEntry(b, a, e, end.Queued)
		}
		if a.width > 0 {
			b = a.pad(b, from)
		}
	}
	b = append(b, '\n')
	p.line = b
	p.log.add(b)
}

// Draft is a line of which everything but the ending is known. It is on its own:
// nothing of the request needs to be kept for it.
type Draft struct {
	text []byte
	// ends is where in text the piece of each atom ends. Those of an ending are
	// empty.
	ends     []int
	excluded bool
}

// Draft begins the line of a request whose ending is still to come.
func (p *Pen) Draft(e *Entry, queued time.Duration) *Draft {
	d := &Draft{ends: make([]int, len(p.log.format.atoms)), excluded: p.log.excludes(e.Path)}
	p.line = p.line[:0]
	for i := range p.log.format.atoms {
		a := &p.log.format.atoms[i]
		from := len(p.line)
		if !a.ending {
			p.line = a.pad(p.appendEntry(p.line, a, e, queued), from)
		}
		d.ends[i] = len(p.line)
	}
	d.text = append([]byte(nil), p.line...)
	return d
}

// Finish logs a request that was begun with Draft. Any pen of the same log may.
func (p *Pen) Finish(d *Draft, end *Ending) {
	if d.excluded && end.unremarkable() {
		return
	}
	p.tick(end.End)
	p.line = p.line[:0]
	pos := 0
	for i := range p.log.format.atoms {
		a := &p.log.format.atoms[i]
		if a.ending {
			from := len(p.line)
			p.line = a.pad(p.appendEnding(p.line, a, end), from)
		}
		p.line = append(p.line, d.text[pos:d.ends[i]]...)
		pos = d.ends[i]
	}
	p.line = append(p.line, '\n')
	p.log.add(p.line)
}

// unremarkable reports whether a request may stay out of the log if its path is
// excluded: a health check that fails is what the log is for.
func (end *Ending) unremarkable() bool { return end.Outcome == OK && end.Status < 400 }

// tick renews the time of day, once a second.
func (p *Pen) tick(now int64) {
	if now < p.stampUntil && now >= p.second {
		return
	}
	wall := time.Now()
	p.second = now - int64(wall.Nanosecond())
	p.stampUntil = p.second + int64(time.Second)
	p.stamp = wall.AppendFormat(p.stamp[:0], "[02/Jan/2006:15:04:05 -0700]")
	p.iso = wall.UTC().AppendFormat(p.iso[:0], "2006-01-02T15:04:05.")
}

// pad fills b[from:] up to the atom's width.
func (a *atom) pad(b []byte, from int) []byte {
	missing := a.width - (len(b) - from)
	if missing <= 0 {
		return b
	}
	filler := byte(' ')
	if a.zero {
		filler = '0'
	}
	for range missing {
		b = append(b, filler)
	}
	if !a.left {
		copy(b[from+missing:], b[from:len(b)-missing])
		for i := range missing {
			b[from+i] = filler
		}
	}
	return b
}

// appendEntry appends a piece that does not depend on how the request ends.
func (p *Pen) appendEntry(b []byte, a *atom, e *Entry, queued time.Duration) []byte {
	switch a.kind {
	case literal:
		return append(b, a.text...)
	case 'h':
		if p.log.format.json {
			return p.value(b, e.Addr)
		}
		return append(b, e.Addr...) // gunicorn writes nothing for a unix socket
	case 'l':
		return append(b, '-')
	case 'u':
		return p.value(b, user(e.requestField("authorization")))
	case 'r':
		return p.request(b, e)
	case 'm':
		return p.parsed(b, e, e.Method)
	case 'U':
		return p.parsed(b, e, e.PathInfo)
	case 'q':
		return p.parsed(b, e, e.Query)
	case 'H':
		return p.parsed(b, e, e.Version)
	case 'f':
		return p.value(b, e.requestField("referer"))
	case 'a':
		return p.value(b, e.requestField("user-agent"))
	case 'Q':
		return strconv.AppendInt(b, queued.Microseconds(), 10)
	case queuedMS:
		return appendMS(b, queued)
	case 'p':
		return append(append(append(b, '<'), p.log.pid...), '>')
	case processID:
		return append(b, p.log.pid...)
	case requestField:
		return p.value(b, e.requestField(a.text))
	case responseField:
		return p.value(b, e.responseField(a.text))
	case environKey:
		return p.value(b, e.environKey(a.index))
	}
	panic("accesslog: unknown atom " + strconv.Itoa(int(a.kind)))
}

// appendEnding appends a piece that tells how the request ended.
func (p *Pen) appendEnding(b []byte, a *atom, end *Ending) []byte {
	switch a.kind {
	case 't':
		return append(b, p.stamp...)
	case timestamp:
		b = append(append(b, '"'), p.iso...)
		ms := (end.End - p.second) / int64(time.Millisecond)
		return append(b, '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z', '"')
	case 's':
		switch {
		case end.Status != 0:
			return strconv.AppendInt(b, int64(end.Status), 10)
		case p.log.format.json:
			return append(b, "null"...)
		}
		return append(b, '-')
	case 'B', 'b':
		return strconv.AppendInt(b, end.Sent, 10)
	case 'X':
		if p.log.format.json {
			return append(append(append(b, '"'), end.Outcome.String()...), '"')
		}
		return append(b, end.Outcome.String()...)
	case 'T':
		return strconv.AppendInt(b, int64(end.Taken/time.Second), 10)
	case 'M':
		return strconv.AppendInt(b, end.Taken.Milliseconds(), 10)
	case 'D':
		return strconv.AppendInt(b, end.Taken.Microseconds(), 10)
	case 'L':
		return strconv.AppendFloat(b, end.Taken.Seconds(), 'f', 6, 64)
	case takenMS:
		return appendMS(b, end.Taken)
	case 'A':
		return strconv.AppendInt(b, end.App.Microseconds(), 10)
	case appMS:
		return appendMS(b, end.App)
	case 'W':
		return strconv.AppendInt(b, end.Write.Microseconds(), 10)
	case writeMS:
		return appendMS(b, end.Write)
	}
	panic("accesslog: unknown atom " + strconv.Itoa(int(a.kind)))
}

// request appends what the client asked for: the whole line in text, the target
// alone in JSON, which has fields for the rest.
func (p *Pen) request(b []byte, e *Entry) []byte {
	if p.log.format.json || !e.Parsed {
		return p.value(b, e.Target)
	}
	b = append(appendEscaped(b, e.Method), ' ')
	b = appendEscaped(b, e.Target)
	if len(e.Version) == 0 {
		return b
	}
	return appendEscaped(append(b, ' '), e.Version)
}

// parsed appends a part of a request line, which may be empty, if the line was
// understood.
func (p *Pen) parsed(b []byte, e *Entry, v []byte) []byte {
	if !e.Parsed || p.log.format.json {
		return p.value(b, v)
	}
	return appendEscaped(b, v)
}

// value appends a value, or what stands for none.
func (p *Pen) value(b, v []byte) []byte {
	switch {
	case p.log.format.json && len(v) == 0:
		return append(b, "null"...)
	case p.log.format.json:
		return appendJSONString(b, v)
	case len(v) == 0:
		return append(b, '-')
	}
	return appendEscaped(b, v)
}

// appendMS appends milliseconds with three decimals.
func appendMS(b []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, us/1000, 10)
	return append(b, '.', '0'+byte(us/100%10), '0'+byte(us/10%10), '0'+byte(us%10))
}

// user returns the user name of Basic authentication, or nil.
func user(authorization []byte) []byte {
	if len(authorization) < 6 || !strings.EqualFold(string(authorization[:6]), "basic ") {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(authorization[6:])))
	if err != nil {
		return nil
	}
	name, _, _ := strings.Cut(string(decoded), ":")
	return []byte(name)
}

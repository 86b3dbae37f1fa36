package http1

import "bytes"

// What a HeadScanner expects next.
const (
	scanStart  uint8 = iota // the first byte of the request, or an empty line before it
	scanLine                // the request-line
	scanFields              // field lines
	scanDone                // nothing: pos is the length of the head
)

// HeadScanner finds the end of a request's head in a buffer that grows. The
// zero value is ready. It holds positions only, so the buffer may move between
// calls. Every byte is looked at once, however small the pieces are in which
// it arrives; whether and why a head is refused does not depend on the pieces.
type HeadScanner struct {
	pos    uint32 // bytes before it have been looked at
	line   uint32 // where the current line starts
	fields uint32 // complete field lines so far
	state  uint8
	judged bool // CheckLine has been there
}

// Reset makes the scanner ready for the next request.
func (s *HeadScanner) Reset() { *s = HeadScanner{} }

// Scan looks at buf, which holds all bytes of this request so far and perhaps
// more behind them, starting at the request's first byte. It returns n > 0
// when the head is complete and takes the first n bytes of buf, 0 and no error
// when more bytes are needed. One empty line before the request-line is
// accepted and counted in n (RFC 9112, 2.2).
//
// Mistakes that can be seen before the head is complete are returned as soon
// as the bytes are there, so that a peer that never ends its head does not
// hang on: a line end without CR, a NUL, lines longer or more than allowed.
// rules must stay the same until Reset.
func (s *HeadScanner) Scan(buf []byte, rules *Rules) (n int, err *Error) {
	if s.state == scanDone {
		return int(s.pos), nil
	}
	from := int(s.pos)
	end, err := s.lines(buf, rules)
	// One pass for all new lines is much cheaper than one for each. A NUL
	// before the place of another mistake came first.
	if bytes.IndexByte(buf[from:end], 0) >= 0 {
		return 0, errNUL
	}
	if err != nil || s.state != scanDone {
		return 0, err
	}
	return end, nil
}

// CheckLine looks, once, at the request-line of a head of which Scan has seen that
// much and no more, so that a peer that waits for an answer to something else
// than HTTP gets one. buf and rules are those of Scan. What Scan and Parse say of
// the whole does not depend on it.
func (s *HeadScanner) CheckLine(buf []byte, rules *Rules) *Error {
	if s.state != scanFields || s.judged {
		return nil
	}
	s.judged = true
	var r Request
	_, err := r.parseRequestLine(buf, rules)
	return err
}

// lines goes through the lines of buf that are not known yet. end is how far
// it looked: the whole of the head, the place of the mistake, or all of buf.
func (s *HeadScanner) lines(buf []byte, rules *Rules) (end int, err *Error) {
	if s.state == scanStart {
		switch ok, err := s.start(buf); {
		case err != nil:
			return 0, err
		case !ok:
			return len(buf), nil
		}
	}
	headMax := rules.HeadMax()
	for {
		line, pos := int(s.line), int(s.pos)
		folded := rules.ObsFold && line < len(buf) && isOWS(buf[line])
		window, tooLong := s.window(line, headMax, folded, &rules.Limits)
		end = min(len(buf), window)
		i := bytes.IndexByte(buf[pos:end], '\n')
		if i < 0 {
			s.pos = uint32(end)
			if len(buf) >= window {
				return end, tooLong
			}
			return end, nil
		}
		i += pos
		if i == line || buf[i-1] != '\r' {
			return i, errBareLF
		}
		s.pos = uint32(i + 1)
		s.line = s.pos
		empty := i == line+1
		switch {
		case s.state == scanLine && empty:
			return i, errEmptyLine
		case s.state == scanLine:
			s.state = scanFields
		case empty:
			s.state = scanDone
			return i + 1, nil
		case !folded:
			s.fields++
		}
	}
}

// tlsHandshake is the first byte of a TLS client's first record (RFC 8446, 5.1).
const tlsHandshake = 0x16

// start skips an empty line before the request-line. It reports false as long
// as that cannot be told, and for a client that speaks TLS.
func (s *HeadScanner) start(buf []byte) (bool, *Error) {
	if len(buf) == 0 || len(buf) == 1 && (buf[0] == '\r' || buf[0] == tlsHandshake) {
		return false, nil
	}
	switch {
	case buf[0] == '\r' && buf[1] == '\n':
		s.pos, s.line = 2, 2
	case buf[0] == tlsHandshake && buf[1] == 3:
		return false, errTLS
	}
	s.state = scanLine
	return true, nil
}

// window returns the position before which the line that starts at line must
// have ended, and what to say if it has not. A folded one is part of the field
// before it.
func (s *HeadScanner) window(line, headMax int, folded bool, lim *Limits) (int, *Error) {
	if s.state == scanLine {
		return line + lim.lineMax() + 2, errLongLine
	}
	if int(s.fields) == lim.Fields && !folded {
		// Only the empty line may follow.
		return line + 2, errManyFields
	}
	// The empty line at the end is not a field and passes any limit.
	if end := line + max(lim.FieldSize, 2); end <= headMax {
		return end, errLongField
	}
	return headMax, errLongHead
}

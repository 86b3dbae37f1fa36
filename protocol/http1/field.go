package http1

import (
	"bytes"
	"math"
)

// parseFields parses the field lines from pos to the end of head (RFC 9112, 5):
//
//	field-line = field-name ":" OWS field-value OWS
//
// No whitespace between name and colon (5.1), no folding (5.2), unless Compat
// permits it.
func (r *Request) parseFields(head []byte, pos int, m *message) *Error {
	room := min(cap(r.Fields), m.rules.Fields)
	fields := r.Fields[:0]
	for {
		end := bytes.IndexByte(head[pos:], '\n') + pos
		if end < pos {
			return errIncomplete
		}
		if end == pos || head[end-1] != '\r' {
			return errBareLF
		}
		line := head[pos : end-1]
		if len(line) == 0 {
			if end+1 != len(head) {
				return errIncomplete
			}
			r.Fields = fields
			return nil
		}
		if len(fields) == room {
			return errManyFields
		}
		name := 0
		for name < len(line) && class[line[name]]&className != 0 {
			name++
		}
		colon := name
		if name == 0 || name == len(line) || line[name] != ':' {
			var err *Error
			if name, colon, err = r.oddName(line, name, m.rules); err != nil {
				return err
			}
		}
		from := colon + 1
		to := len(line)
		for from < to && isOWS(line[from]) {
			from++
		}
		for to > from && isOWS(line[to-1]) {
			to--
		}
		value := line[from:to]
		if !IsFieldValue(value) {
			return fieldValueError(value)
		}
		f := Field{Name: span(pos, pos+name), Value: span(pos+from, pos+to)}
		fields = append(fields, f)
		if err := r.noteField(line[:name], value, f.Value, m); err != nil {
			return err
		}
		pos = end + 1
	}
}

// oddName goes on with a name that did not end in a colon after its first n
// bytes: it may have an underscore, or whitespace behind it. It returns where
// the name ends and where the colon is.
func (r *Request) oddName(line []byte, n int, rules *Rules) (name, colon int, err *Error) {
	for n < len(line) && class[line[n]]&classToken != 0 {
		n++
	}
	colon = n
	for rules.SpaceBeforeColon && colon < len(line) && isOWS(line[colon]) {
		colon++
	}
	if n == 0 || colon == len(line) || line[colon] != ':' {
		return 0, 0, fieldNameError(line, n)
	}
	if bytes.IndexByte(line[:n], '_') >= 0 {
		r.Underscore = true
	}
	return n, colon, nil
}

// fieldNameError says what is wrong with a line whose first n bytes could be a
// name and that has no colon behind them.
func fieldNameError(line []byte, n int) *Error {
	if isOWS(line[0]) {
		return errFold
	}
	if rest := trim(line[n:]); n > 0 && len(rest) > 0 && rest[0] == ':' {
		return errFieldColon
	}
	return errFieldName
}

// fieldValueError says what is wrong with a value.
func fieldValueError(value []byte) *Error {
	if bytes.IndexByte(value, '\r') >= 0 {
		return errBareCR
	}
	return errFieldValue
}

// noteField takes notice of a field that the server itself acts upon. The
// length of the name tells nearly all other fields apart without comparing.
func (r *Request) noteField(name, value []byte, at Span, m *message) *Error {
	switch len(name) {
	case len("host"):
		if isLower(name, "host") {
			return r.noteHost(value, at, m)
		}
	case len("expect"):
		if isLower(name, "expect") {
			m.expect = true
			m.expectBad = m.expectBad || !isLower(value, "100-continue")
		}
	case len("connection"):
		if isLower(name, "connection") {
			noteConnection(value, m)
		}
	case len("content-type"):
		if isLower(name, "content-type") {
			// Two of them let a filter and the application parse the content
			// in two ways (gunicorn refuses them too).
			if m.contentType {
				return errContentType
			}
			m.contentType = true
		}
	case len("content-length"):
		if isLower(name, "content-length") {
			return r.noteLength(value, m)
		}
	case len("transfer-encoding"):
		if isLower(name, "transfer-encoding") {
			return noteCoding(value, m)
		}
	}
	return nil
}

// noteHost takes the Host field (RFC 9112, 3.2): at most one, and valid. An
// empty value is valid. The authority of a target takes precedence (3.2.2).
func (r *Request) noteHost(value []byte, at Span, m *message) *Error {
	if m.hostSeen {
		return errTwoHosts
	}
	m.hostSeen = true
	if len(value) > 0 && !validAuthority(value, portOptional) {
		return errHost
	}
	if r.Form != Absolute && r.Form != Authority {
		r.Host = at
	}
	return nil
}

// noteLength takes Content-Length (RFC 9110, 8.6): digits, once. The RFC
// allows to accept a list of equal values; servers differ in it, so it is
// refused. A value that does not fit int64 is refused as well.
func (r *Request) noteLength(value []byte, m *message) *Error {
	if m.length {
		return errTwoLength
	}
	m.length = true
	if len(value) == 0 {
		return errLength
	}
	var n int64
	for _, c := range value {
		if !isDigit(c) {
			return errLength
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			return errLength
		}
		n = n*10 + d
	}
	r.ContentLength = n
	return nil
}

// noteCoding takes Transfer-Encoding (RFC 9112, 6.1 and 7), whose codings may
// be spread over several fields. Parameters, empty elements and anything else
// that is not a token are refused: that is how chunked is hidden from one of
// two servers. Codings we know but do not decode wait for settle, so that one
// without a final chunked is a 400, as in gunicorn.
func noteCoding(value []byte, m *message) *Error {
	m.coding = true
	for more := true; more; {
		var item []byte
		item, value, more = nextItem(value)
		switch {
		case len(item) == 0 || !all(item, classToken):
			return errCoding
		case isLower(item, "chunked"):
			if m.chunked {
				return errTwoChunk
			}
			m.chunked = true
		case m.chunked:
			return errCodingEnd
		case isLower(item, "gzip"), isLower(item, "x-gzip"), isLower(item, "deflate"),
			isLower(item, "compress"), isLower(item, "x-compress"), isLower(item, "identity"):
			m.unsupported = true
		default:
			return errNoCoding
		}
	}
	return nil
}

// noteConnection takes the options of Connection that concern the server
// (RFC 9110, 7.6.1).
func noteConnection(value []byte, m *message) {
	for more := true; more; {
		var item []byte
		item, value, more = nextItem(value)
		switch len(item) {
		case len("close"):
			m.close = m.close || isLower(item, "close")
		case len("upgrade"):
			m.upgrade = m.upgrade || isLower(item, "upgrade")
		case len("keep-alive"):
			m.keepAlive = m.keepAlive || isLower(item, "keep-alive")
		}
	}
}

// nextItem cuts the first element off a comma-separated list (RFC 9110,
// 5.6.1). The element has no whitespace around it and may be empty; more says
// that a comma followed.
func nextItem(list []byte) (item, rest []byte, more bool) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:], true
	}
	return trim(list), nil, false
}

package http1

import "bytes"

// Lengths of a method in bytes (gunicorn; the RFC has no limit). Shorter and
// longer ones come from scanners and from other protocols.
const (
	minMethod = 3
	maxMethod = 20
)

// versionLen is the length of " HTTP/1.1".
const versionLen = len(" HTTP/1.1")

// parseRequestLine parses an empty line, if there is one, and the
// request-line (RFC 9112, 3):
//
//	request-line = method SP request-target SP HTTP-version
//
// with exactly one SP in both places. It returns where the next line starts.
func (r *Request) parseRequestLine(head []byte, rules *Rules) (next int, err *Error) {
	start := 0
	if len(head) >= 2 && head[0] == '\r' && head[1] == '\n' {
		start = 2
	}
	end := bytes.IndexByte(head[start:], '\n') + start
	if end <= start {
		return 0, errIncomplete
	}
	next = end + 1
	end--
	if head[end] != '\r' {
		return 0, errBareLF
	}
	line := head[start:end]

	method := bytes.IndexByte(line, ' ')
	if method < 0 {
		return 0, errRequestLine
	}
	if method < minMethod || method > maxMethod || !all(line[:method], classMethod) {
		if !rules.AnyMethod || method == 0 || !all(line[:method], classToken) {
			return 0, errMethod
		}
		if rules.CasefoldMethod {
			toUpper(line[:method])
		}
	}
	r.Method = span(start, start+method)

	rest := line[method+1:]
	target := bytes.IndexByte(rest, ' ')
	if target < 0 {
		// HTTP/0.9, or a version that was lost.
		return 0, errRequestLine
	}
	from := start + method + 1
	r.Target = span(from, from+target)
	if r.Minor, err = minorVersion(rest[target:], rules); err != nil {
		return 0, err
	}
	r.Version = span(from+target+1, end)
	return next, r.parseTarget(head, from, from+target)
}

// minorVersion parses " HTTP/1.x" (RFC 9112, 2.3: the name is case-sensitive,
// both numbers are one digit). A minor version above 1 is accepted, as in
// gunicorn and by RFC 9110, 2.5; another major version is a 505 unless it is
// permitted.
func minorVersion(b []byte, rules *Rules) (uint8, *Error) {
	if len(b) != versionLen || string(b[:6]) != " HTTP/" || b[7] != '.' || !isDigit(b[6]) || !isDigit(b[8]) {
		if bytes.IndexByte(b[1:], ' ') >= 0 {
			// More than one SP in a place, or SP in the target.
			return 0, errRequestLine
		}
		return 0, errVersion
	}
	switch {
	case b[6] == '1':
		return b[8] - '0', nil
	case !rules.AnyVersion:
		return 0, errMajor
	case b[6] == '0':
		return 0, nil
	}
	return 1, nil
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// parseTarget parses head[from:to], the request-target (RFC 9112, 3.2). All
// visible ASCII characters but "#" are accepted, more than RFC 3986 allows:
// clients send quotes, braces and "|" unescaped, and gunicorn accepts them.
func (r *Request) parseTarget(head []byte, from, to int) *Error {
	target := head[from:to]
	if !targetOK(target) {
		if bytes.IndexByte(target, '#') >= 0 {
			return errFragment
		}
		return errTarget
	}
	connect := string(r.Method.Of(head)) == "CONNECT"
	switch {
	case len(target) == 0:
		return errTargetForm
	case connect:
		if !validAuthority(target, portRequired) {
			return errTargetConnect
		}
		r.Form = Authority
		r.Host = r.Target
	case target[0] == '/':
		r.Form = Origin
		r.splitPath(head, from, to)
	case len(target) == 1 && target[0] == '*':
		if string(r.Method.Of(head)) != "OPTIONS" {
			return errTargetAsterisk
		}
		r.Form = Asterisk
		r.Path = r.Target
	default:
		return r.parseAbsolute(head, from, to)
	}
	return nil
}

// splitPath sets Path and Query from head[from:to].
func (r *Request) splitPath(head []byte, from, to int) {
	r.Path = span(from, to)
	if q := bytes.IndexByte(head[from:to], '?'); q >= 0 {
		r.Path = span(from, from+q)
		r.Query = span(from+q+1, to)
		r.HasQuery = true
	}
}

// parseAbsolute parses a target in absolute-form (RFC 9112, 3.2.2). Only
// http and https have an authority that we could be: other schemes are for a
// proxy, which this is not (gunicorn accepts any). Userinfo and an empty host
// are refused (RFC 9110, 4.2.1 and 4.2.4).
func (r *Request) parseAbsolute(head []byte, from, to int) *Error {
	target := head[from:to]
	colon := bytes.IndexByte(target, ':')
	if colon < 0 || len(target) < colon+3 || target[colon+1] != '/' || target[colon+2] != '/' {
		return errTargetForm
	}
	if !isLower(target[:colon], "http") && !isLower(target[:colon], "https") {
		return errTargetScheme
	}
	start := colon + 3
	end := start
	for end < len(target) && target[end] != '/' && target[end] != '?' {
		end++
	}
	if !validAuthority(target[start:end], portOptional) {
		return errTargetHost
	}
	r.Form = Absolute
	r.Host = span(from+start, from+end)
	r.splitPath(head, from+end, to)
	return nil
}

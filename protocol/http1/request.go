package http1

// Form is the form of a request-target (RFC 9112, 3.2).
type Form uint8

const (
	// Origin is "/path?query".
	Origin Form = iota
	// Absolute is "http://authority/path?query".
	Absolute
	// Authority is "host:port", with CONNECT only.
	Authority
	// Asterisk is "*", with OPTIONS only.
	Asterisk
)

// String names the form as the RFC does.
func (f Form) String() string {
	switch f {
	case Origin:
		return "origin-form"
	case Absolute:
		return "absolute-form"
	case Authority:
		return "authority-form"
	case Asterisk:
		return "asterisk-form"
	}
	return "unknown form"
}

// Request is one parsed head. All spans are positions in the buffer given to
// Parse. The zero value with Fields set to an empty slice that has the
// capacity for as many fields as shall be accepted is ready, and reusable for
// any number of requests.
type Request struct {
	// Method is a token of 3 to 20 bytes without lower-case letters, unless
	// Compat permits others.
	Method Span
	// Target is the request-target as sent.
	Target Span
	// Path is the path of the target, undecoded. It is empty for the
	// authority-form and perhaps for the absolute-form, "*" for the
	// asterisk-form.
	Path Span
	// Query is what follows the first "?" of the target. See HasQuery.
	Query Span
	// Host is the authority of a target in absolute-form or authority-form,
	// else the value of the Host field (RFC 9112, 3.3). It may be empty.
	Host Span
	// Form is the form of the target.
	Form Form
	// HasQuery tells an empty query from none.
	HasQuery bool
	// Version is the version as sent, "HTTP/1.1".
	Version Span
	// Minor is the minor version, 0 to 9; above 1 the request was treated as
	// HTTP/1.1 (RFC 9110, 2.5). It is 0 or 1 for the versions that only
	// Compat.AnyVersion accepts.
	Minor uint8
	// Fields are the field lines in the order received. Parse fills it within
	// its capacity and never grows it, so the caller may back it by any memory.
	Fields []Field
	// Underscore says that some field name has one. Such a name cannot be told
	// from one with a hyphen in an environ; which of them get there is not
	// decided here.
	Underscore bool
	// ContentLength is the value of Content-Length in bytes, or -1 without
	// that field. Without the field, and not Chunked, there is no content.
	ContentLength int64
	// Chunked says that the content is to be read with a ChunkDecoder. Then
	// there is no Content-Length.
	Chunked bool
	// KeepAlive is what the client wants: in HTTP/1.1 and above unless it said
	// "close", in HTTP/1.0 only if it said "keep-alive" (RFC 9112, 9.3). It is
	// false with CONNECT, behind which there may be anything (RFC 9110, 9.3.6).
	KeepAlive bool
	// ExpectContinue says that the client waits for a 100 before it sends
	// content. It is false when there is no content to send and in HTTP/1.0
	// (RFC 9110, 10.1.1).
	ExpectContinue bool
	// Upgrade says that Connection has the option "upgrade" and the version is
	// not 1.0, in which it means nothing (RFC 9110, 7.8).
	Upgrade bool
	// HeadLen is the length of the head in bytes, with a leading empty line:
	// content starts there.
	HeadLen uint32
}

// Reset forgets the request; the memory of Fields is kept.
func (r *Request) Reset() {
	*r = Request{Fields: r.Fields[:0], ContentLength: -1}
}

// Parse parses head, which must be exactly the bytes for which Scan returned
// their number, under the same rules. What was in r before is gone. After an
// error the content of r means nothing, but a log line may use Method and
// Target: each is empty if it was not reached, and Target may have any bytes.
// A field more than Fields has capacity for is a 431.
//
// Of the switches in Compat, CasefoldMethod and ObsFold make Parse rewrite
// parts of head; to parse it again gives the same request.
func (r *Request) Parse(head []byte, rules *Rules) *Error {
	r.Reset()
	pos, err := r.parseRequestLine(head, rules)
	if err != nil {
		return err
	}
	if rules.ObsFold {
		if err := unfold(head, pos, rules); err != nil {
			return err
		}
	}
	m := message{rules: rules}
	if err := r.parseFields(head, pos, &m); err != nil {
		return err
	}
	r.HeadLen = uint32(len(head))
	return r.settle(&m)
}

// message is what the fields said, before they are judged together.
type message struct {
	rules             *Rules
	host, hostSeen    bool // hostSeen: the field was there
	contentType       bool
	length            bool
	coding            bool // a Transfer-Encoding field was there
	chunked           bool // chunked was the last coding so far
	unsupported       bool // a coding before chunked that we do not decode
	close, keepAlive  bool
	upgrade           bool
	expect, expectBad bool
}

// settle draws the conclusions that need all fields.
func (r *Request) settle(m *message) *Error {
	if !m.hostSeen && r.Minor > 0 {
		return errNoHost
	}
	if m.coding {
		switch {
		case r.Minor == 0:
			return errCoding10
		case m.length:
			return errBothFrame
		case !m.chunked:
			return errCodingEnd
		case m.unsupported:
			return errNoCoding
		}
		r.Chunked = true
	}
	if m.rules.Body > 0 && r.ContentLength > m.rules.Body {
		return errTooLarge
	}
	if r.Minor > 0 {
		if m.expectBad {
			return errExpect
		}
		r.ExpectContinue = m.expect && (r.Chunked || r.ContentLength > 0)
		r.Upgrade = m.upgrade
	}
	r.KeepAlive = !m.close && (r.Minor > 0 || m.keepAlive) && r.Form != Authority
	return nil
}

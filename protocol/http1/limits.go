package http1

// The bounds of gunicorn's limits (gunicorn: limit_request_line,
// limit_request_fields, limit_request_field_size).
const (
	maxRequestLine   = 8190
	maxFields        = 32768
	defaultFieldSize = 8190
)

const (
	// unlimitedLine is where an unlimited request line ends all the same.
	unlimitedLine = 1 << 20
	// maxHead keeps every position in a head within a Span, with room to add.
	maxHead = 1 << 30
)

// Limits bounds what a client can make the server hold in memory before its
// request is complete. The names and meanings are gunicorn's. Only a value
// returned by Normalize may be part of Rules.
type Limits struct {
	// RequestLine is the greatest length of the request-line in bytes, without
	// its CRLF; more is a 414. Zero is unlimited, which here means 1 MiB;
	// a negative value or one above 8190 means 8190.
	// gunicorn: limit_request_line (default 4094), there truly unlimited.
	RequestLine int
	// Fields is the greatest number of field lines; more is a 431. Zero, a
	// negative value or one above 32768 means 32768.
	// gunicorn: limit_request_fields (default 100).
	Fields int
	// FieldSize is the greatest length of a field line in bytes, with its CRLF;
	// more is a 431. Zero or a negative value means 8190, one above 1 GiB means
	// that. gunicorn: limit_request_field_size (default 8190), where the
	// documentation calls zero unlimited but the code does what is done here.
	FieldSize int
	// Body is the greatest length of content in bytes; more is a 413. Zero and
	// less is no limit. It counts for Content-Length; chunked content is bounded by
	// ChunkDecoder.Limit. gunicorn has nothing like it.
	Body int64
}

// Normalize returns l with values out of range replaced as gunicorn does.
func (l Limits) Normalize() Limits {
	if l.RequestLine < 0 || l.RequestLine > maxRequestLine {
		l.RequestLine = maxRequestLine
	}
	if l.Fields <= 0 || l.Fields > maxFields {
		l.Fields = maxFields
	}
	if l.FieldSize <= 0 {
		l.FieldSize = defaultFieldSize
	}
	if l.FieldSize > maxHead {
		l.FieldSize = maxHead
	}
	l.Body = max(l.Body, 0)
	return l
}

// HeadMax returns the greatest number of bytes a head can take under l: a
// leading empty line, the request-line, the field lines and the final empty
// line. It is at most 1 GiB.
func (l *Limits) HeadMax() int {
	// Three lines beside the fields have a CRLF that no limit counts.
	return min(l.lineMax()+l.Fields*l.FieldSize+6, maxHead)
}

// lineMax is RequestLine with the bound of an unlimited one filled in.
func (l *Limits) lineMax() int {
	if l.RequestLine == 0 {
		return unlimitedLine
	}
	return l.RequestLine
}

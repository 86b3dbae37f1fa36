package http1

// Error is a mistake of the peer: a request that is refused. Reason is
// constant text, never bytes of the peer, so that it can go into a log line or
// a reply as it is. After an Error the connection cannot be used for another
// request. Values of it are shared: do not change them.
type Error struct {
	// Status is the code of the reply: 400, 413, 414, 417, 431, 501 or 505.
	Status int
	// Reason says in a few lower-case words what is wrong.
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return "http1: " + e.Reason }

// What a head can be refused for, in the order of RFC 9112. They are variables
// so that refusing costs no allocation either.
var (
	// RFC 9112, 2.2: a recipient may take a single LF for a line end; servers
	// that do and servers that do not see different lines.
	errBareLF     = &Error{400, "line ends without CR"}
	errBareCR     = &Error{400, "CR without LF"}
	errNUL        = &Error{400, "NUL in head"}
	errEmptyLine  = &Error{400, "no request line"}
	errTLS        = &Error{400, "TLS on a port for plain HTTP"}
	errIncomplete = &Error{400, "incomplete head"}

	errRequestLine = &Error{400, "malformed request line"}
	errMethod      = &Error{400, "invalid method"}
	errVersion     = &Error{400, "malformed HTTP version"}
	errMajor       = &Error{505, "HTTP version not supported"}

	errTarget         = &Error{400, "invalid byte in request target"}
	errFragment       = &Error{400, "fragment in request target"}
	errTargetForm     = &Error{400, "malformed request target"}
	errTargetScheme   = &Error{400, "unsupported scheme in request target"}
	errTargetHost     = &Error{400, "invalid authority in request target"}
	errTargetAsterisk = &Error{400, "asterisk target without OPTIONS"}
	errTargetConnect  = &Error{400, "CONNECT without host and port"}

	errFold       = &Error{400, "folded field line"}
	errFieldColon = &Error{400, "whitespace before colon"}
	errFieldName  = &Error{400, "invalid field name"}
	errFieldValue = &Error{400, "invalid byte in field value"}

	errNoHost      = &Error{400, "no Host"}
	errTwoHosts    = &Error{400, "more than one Host"}
	errHost        = &Error{400, "invalid Host"}
	errContentType = &Error{400, "more than one Content-Type"}

	errLength    = &Error{400, "invalid Content-Length"}
	errTwoLength = &Error{400, "more than one Content-Length"}
	errBothFrame = &Error{400, "Content-Length with Transfer-Encoding"}
	errCoding    = &Error{400, "malformed Transfer-Encoding"}
	errCodingEnd = &Error{400, "final transfer coding is not chunked"}
	errTwoChunk  = &Error{400, "chunked applied twice"}
	errCoding10  = &Error{400, "Transfer-Encoding in HTTP/1.0"}
	errNoCoding  = &Error{501, "transfer coding not supported"}

	errTooLarge = &Error{413, "content too large"}

	errExpect = &Error{417, "expectation not supported"}

	errLongLine   = &Error{414, "request line too long"}
	errLongField  = &Error{431, "field line too long"}
	errManyFields = &Error{431, "too many field lines"}
	errLongHead   = &Error{431, "head too large"}
)

// What chunked content can be refused for (RFC 9112, 7.1).
var (
	errChunkSize    = &Error{400, "invalid chunk size"}
	errChunkBig     = &Error{400, "chunk size too large"}
	errChunkExt     = &Error{400, "invalid chunk extension"}
	errChunkExtLong = &Error{400, "chunk extension too long"}
	errChunkLine    = &Error{400, "chunk line ends without CR LF"}
	errChunkData    = &Error{400, "chunk data does not end in CR LF"}
	errTrailer      = &Error{400, "malformed trailer field"}
	errTrailerName  = &Error{400, "field not allowed in trailer section"}
	errTrailerLong  = &Error{431, "trailer section too large"}
	errChunkBroken  = &Error{400, "content already refused"}
)

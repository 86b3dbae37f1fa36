package http1

// Compat is what may be let through that is refused by default, for peers that
// cannot be mended. The names in brackets are gunicorn's. The zero value lets
// nothing through, and costs nothing: each switch is looked at only where a
// request would be refused.
type Compat struct {
	// ObsFold accepts field lines that go on in the next line, with one SP in
	// place of the line end (RFC 9112, 5.2), but not for Host, Content-Length
	// and Transfer-Encoding: where a message goes and ends must not depend on
	// who joins lines. gunicorn (permit_obsolete_folding) joins those, too.
	ObsFold bool
	// SpaceBeforeColon accepts SP and HTAB between a field name and its colon,
	// which RFC 9112, 5.1 forbids (strip_header_spaces).
	SpaceBeforeColon bool
	// AnyMethod accepts every token as a method: of any length, with lower-case
	// letters and "#" (permit_unconventional_http_method).
	AnyMethod bool
	// CasefoldMethod turns methods into upper case. As in gunicorn it has an
	// effect with AnyMethod only: without it, what there is to turn is refused
	// (casefold_http_method).
	CasefoldMethod bool
	// AnyVersion accepts HTTP/x.y with any two digits. What is below 1.0 is read
	// by the rules of 1.0, what is above 1.1 by those of 1.1
	// (permit_unconventional_http_version).
	AnyVersion bool
}

// Rules is what HeadScanner and Request go by: limits from Limits.Normalize, and
// what is permitted beside the rule.
type Rules struct {
	Limits
	Compat
}

// toUpper turns the ASCII letters of b into upper case.
func toUpper(b []byte) {
	for i, c := range b {
		if c-'a' <= 'z'-'a' {
			b[i] = c - 'a' + 'A'
		}
	}
}

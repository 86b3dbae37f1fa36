package wsgi

// HeaderMap says what becomes of a field line whose name has an underscore. Its
// name in the environ is that of another one with a hyphen: so a client could
// forge what a proxy sets (gunicorn: header_map).
type HeaderMap uint8

const (
	// DropUnderscore leaves the field out of the environ.
	DropUnderscore HeaderMap = iota
	// RefuseUnderscore refuses the request.
	RefuseUnderscore
	// KeepUnderscore joins it with the one it looks like (gunicorn: dangerous).
	KeepUnderscore
)

// ParseHeaderMap returns the HeaderMap of a value of the setting: "refuse",
// "dangerous", and anything else is "drop".
func ParseHeaderMap(s string) HeaderMap {
	switch s {
	case "refuse":
		return RefuseUnderscore
	case "dangerous":
		return KeepUnderscore
	}
	return DropUnderscore
}

// Judge decides about one such field. An exempt one is kept: a peer that is
// trusted may send it (gunicorn: forwarder_headers).
func (m HeaderMap) Judge(exempt bool) HeaderMap {
	if exempt {
		return KeepUnderscore
	}
	return m
}

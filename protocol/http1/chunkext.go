package http1

// stepExt takes a byte of the extensions of a chunk, or of the whitespace
// before them (RFC 9112, 7.1.1):
//
//	chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//
// They are skipped, but their grammar is enforced, as in gunicorn 27: a line
// that ends earlier in one server than in another frames all that follows
// differently. Whitespace is bad unless an extension or a value follows it.
func (d *ChunkDecoder) stepExt(c byte) *Error {
	d.count++
	if d.count > maxChunkExt {
		return errChunkExtLong
	}
	next := chunkBroken
	switch d.state {
	case extName:
		next = afterExt(c, extName, extNameSpace)
		if c == '=' {
			next = extEqual
		}
	case extNameSpace:
		next = afterSpace(c, extNameSpace)
		if c == '=' {
			next = extEqual
		}
	case extValue:
		next = afterExt(c, extValue, extSpace)
	case extQuoteEnd:
		next = afterExt(c, chunkBroken, extSpace)
	case extSpace:
		next = afterSpace(c, extSpace)
	case extFirst, extEqual:
		next = beforeExt(d.state, c)
	case extQuoted:
		switch {
		case c == '"':
			next = extQuoteEnd
		case c == '\\':
			next = extPair
		case class[c]&classValue != 0:
			next = extQuoted
		}
	case extPair:
		if class[c]&classValue != 0 {
			next = extQuoted
		}
	}
	if next == chunkBroken {
		if c == '\n' {
			return errChunkLine
		}
		return errChunkExt
	}
	d.state = next
	return nil
}

// beforeExt returns the state after c where a name (in extFirst) or a value
// (in extEqual) must come, perhaps after whitespace.
func beforeExt(state chunkState, c byte) chunkState {
	switch {
	case isOWS(c):
		return state
	case class[c]&classToken != 0 && state == extFirst:
		return extName
	case class[c]&classToken != 0:
		return extValue
	case c == '"' && state == extEqual:
		return extQuoted
	}
	return chunkBroken
}

// afterExt returns the state after c where a name or a value can end: token is
// that of one more byte of it, space that of whitespace.
func afterExt(c byte, token, space chunkState) chunkState {
	switch {
	case class[c]&classToken != 0:
		return token
	case isOWS(c):
		return space
	case c == ';':
		return extFirst
	case c == '\r':
		return chunkSizeLF
	}
	return chunkBroken
}

// afterSpace returns the state after c where only another extension may
// follow, perhaps after more whitespace.
func afterSpace(c byte, space chunkState) chunkState {
	switch {
	case isOWS(c):
		return space
	case c == ';':
		return extFirst
	}
	return chunkBroken
}

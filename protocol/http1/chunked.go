package http1

// Bounds of what is not content in chunked content.
const (
	// maxSizeDigits keeps a chunk size within int64.
	maxSizeDigits = 15
	// maxChunkExt is the length in bytes of the extensions of one chunk. Nobody
	// uses them; RFC 9112, 7.1.1 asks for a limit.
	maxChunkExt = 1024
	// maxTrailerFields and maxTrailerBytes bound the trailer section, which is
	// read and forgotten: gunicorn's default number of fields, and as many bytes
	// of field lines as two of the greatest default size have.
	maxTrailerFields = 100
	maxTrailerBytes  = 2 * defaultFieldSize
)

// chunkState is what a ChunkDecoder expects next.
type chunkState uint8

const (
	chunkFirst   chunkState = iota // first digit of a chunk-size
	chunkSize                      // more digits, or what follows them
	chunkSizeLF                    // LF of the chunk line
	chunkData                      // left bytes of data
	chunkDataCR                    // CR behind the data
	chunkDataLF                    // LF behind the data
	trailerFirst                   // first byte of a trailer field, or CR of the empty line
	trailerName                    // field name
	trailerValue                   // field value
	trailerLF                      // LF of a trailer field
	chunkEndLF                     // LF of the empty line
	chunkDone                      // nothing
	chunkBroken                    // nothing: an Error was returned

	// The rest is within extensions.
	extFirst     // behind ";"
	extName      // within a name
	extNameSpace // whitespace behind a name
	extEqual     // behind "="
	extValue     // within a token
	extQuoted    // within a quoted-string
	extPair      // behind "\\" in a quoted-string
	extQuoteEnd  // behind a quoted-string
	extSpace     // whitespace behind a value, or before the first ";"
)

// trailerNameMax is the length of the longest name that must not be in a
// trailer section.
const trailerNameMax = len("transfer-encoding")

// ChunkDecoder decodes chunked content (RFC 9112, 7.1). The zero value is
// ready. Pieces may end anywhere; the outcome does not depend on them.
//
// Extensions are skipped, and so are the fields of the trailer section, which
// are checked nevertheless: those that say how a message is framed, routed or
// authenticated are refused (RFC 9110, 6.5.1), as in gunicorn. Bounds: 15
// digits of chunk size, 1 KiB of extensions per chunk, 100 fields and 16380
// bytes of trailer fields.
type ChunkDecoder struct {
	// Limit is the greatest length of the content in bytes; a chunk that goes
	// beyond it is a 413. Zero is no limit. Reset keeps it.
	Limit int64

	total   int64 // bytes of data in all chunks so far
	left    int64 // bytes of data still to come; while reading the size, the size
	count   int32 // digits, bytes of extension or bytes of trailer section so far
	fields  int32 // trailer fields so far
	name    [trailerNameMax]byte
	nameLen uint8 // length of the trailer field's name, at most one more than fits
	state   chunkState
}

// Reset makes the decoder ready for the next request.
func (d *ChunkDecoder) Reset() { *d = ChunkDecoder{Limit: d.Limit} }

// Decode decodes src into dst. It returns how many bytes of dst it wrote, how
// many bytes of src it consumed, and whether the content is complete: then the
// next request starts at src[nSrc]. It goes on until src is used up, dst is
// full and more data is there, or the content ends; an empty dst is allowed
// and lets it consume what is not data. It writes nothing ahead of what it
// read, so dst may start where src starts or before it in the same memory.
//
// An error comes with the number of bytes before the mistake; data that was
// decoded before is in dst. After it, and after the end, Decode consumes
// nothing more and returns an error or done again.
func (d *ChunkDecoder) Decode(dst, src []byte) (nDst, nSrc int, done bool, err *Error) {
	for nSrc < len(src) && d.state != chunkDone {
		if d.state == chunkData {
			n := copy(dst[nDst:], src[nSrc:min(int64(len(src)), int64(nSrc)+d.left)])
			if n == 0 {
				return nDst, nSrc, false, nil
			}
			nDst += n
			nSrc += n
			d.left -= int64(n)
			if d.left == 0 {
				d.state = chunkDataCR
			}
			continue
		}
		if err := d.step(src[nSrc]); err != nil {
			d.state = chunkBroken
			return nDst, nSrc, false, err
		}
		nSrc++
	}
	if d.state == chunkBroken {
		return nDst, nSrc, false, errChunkBroken
	}
	return nDst, nSrc, d.state == chunkDone, nil
}

// step takes one byte that is not data.
func (d *ChunkDecoder) step(c byte) *Error {
	if d.state >= extFirst {
		return d.stepExt(c)
	}
	switch d.state {
	case chunkFirst, chunkSize:
		return d.stepSize(c)
	case chunkSizeLF:
		if c != '\n' {
			return errChunkLine
		}
		if d.Limit > 0 && d.left > d.Limit-d.total {
			return errTooLarge
		}
		d.total += d.left
		d.count = 0
		d.state = chunkData
		if d.left == 0 {
			d.state = trailerFirst
		}
	case chunkDataCR:
		if c != '\r' {
			return errChunkData
		}
		d.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return errChunkData
		}
		d.state = chunkFirst
	case chunkEndLF:
		if c != '\n' {
			return errTrailer
		}
		d.state = chunkDone
	case chunkBroken:
		return errChunkBroken
	default:
		return d.stepTrailer(c)
	}
	return nil
}

// stepSize takes a byte of chunk-size, or the one behind it. There must be a
// digit. Whitespace is allowed only if an extension follows (7.1.1).
func (d *ChunkDecoder) stepSize(c byte) *Error {
	switch {
	case class[c]&classHex != 0:
		if d.count == maxSizeDigits {
			return errChunkBig
		}
		d.left = d.left<<4 | int64(unhex(c))
		d.count++
		d.state = chunkSize
	case d.state == chunkFirst:
		return errChunkSize
	case c == '\r':
		d.state = chunkSizeLF
	case c == ';':
		d.count = 0
		d.state = extFirst
	case isOWS(c):
		d.count = 0
		d.state = extSpace
	case c == '\n':
		return errChunkLine
	default:
		return errChunkSize
	}
	return nil
}

// stepTrailer takes a byte of the trailer section (RFC 9112, 7.1.2).
func (d *ChunkDecoder) stepTrailer(c byte) *Error {
	if d.state == trailerFirst && c == '\r' {
		d.state = chunkEndLF
		return nil
	}
	d.count++
	if d.count > maxTrailerBytes {
		return errTrailerLong
	}
	switch d.state {
	case trailerFirst:
		d.fields++
		if d.fields > maxTrailerFields {
			return errTrailerLong
		}
		if class[c]&classToken == 0 {
			return errTrailer
		}
		d.name[0] = c
		d.nameLen = 1
		d.state = trailerName
	case trailerName:
		switch {
		case class[c]&classToken != 0:
			if int(d.nameLen) < trailerNameMax {
				d.name[d.nameLen] = c
			}
			d.nameLen = min(d.nameLen+1, uint8(trailerNameMax+1))
		case c != ':':
			return errTrailer
		case int(d.nameLen) <= trailerNameMax && forbiddenTrailer(d.name[:d.nameLen]):
			return errTrailerName
		default:
			d.state = trailerValue
		}
	case trailerValue:
		if c == '\r' {
			d.state = trailerLF
		} else if class[c]&classValue == 0 {
			return errTrailer
		}
	case trailerLF:
		if c != '\n' {
			return errTrailer
		}
		d.state = trailerFirst
	}
	return nil
}

// forbiddenTrailer reports whether a field with this name must not come in a
// trailer section.
func forbiddenTrailer(name []byte) bool {
	return isLower(name, "te") || isLower(name, "host") || isLower(name, "trailer") ||
		isLower(name, "authorization") || isLower(name, "content-length") ||
		isLower(name, "transfer-encoding")
}

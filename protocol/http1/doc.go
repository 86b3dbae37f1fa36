// Package http1 is the request side of HTTP/1.1 (RFC 9112) as a server sees
// it: bytes in, spans of those bytes out. It does no I/O, starts no goroutine,
// keeps no reference to a buffer between calls, and allocates nothing for a
// request that is accepted.
//
// A connection owns one HeadScanner, which finds the end of a head in a buffer
// that grows, one Request, which parses the head once it is complete, and one
// ChunkDecoder for chunked content:
//
//	buffer  ->  HeadScanner.Scan  ->  n  ->  Request.Parse(buffer[:n])
//	                                          | ContentLength, or
//	                                          | Chunked -> ChunkDecoder.Decode
//	                                          v
//	                              content, then the next request
//
// None of the types may be used by two goroutines at once; different values
// are independent of each other.
//
// # Strictness
//
// Nothing that two servers could frame differently is accepted. Where the RFC
// lets a recipient repair a message (bare LF, obs-fold, a list of equal
// Content-Length values, Content-Length beside Transfer-Encoding), the message
// is refused. What was refused, with which status and why, is an *Error. After
// an Error the position of the next request is unknown: the connection must be
// closed.
//
// The reference where the RFCs leave a choice is gunicorn 27. Departures:
//
//   - A request in HTTP/1.1 without Host, or with a value of Host that is no
//     host and port, is a 400 (RFC 9112, 3.2). gunicorn accepts both.
//   - A fragment ("#") in the request-target is a 400 (RFC 9112, 3.2: no form
//     has one). gunicorn drops it, which lets a proxy and the application see
//     two different paths.
//   - A target in absolute-form must be http or https, with a host and without
//     userinfo (RFC 9110, 4.2); one in authority-form must be host and port
//     (RFC 9112, 3.2.3). gunicorn accepts anything with "://" in it, and
//     anything at all with CONNECT.
//   - Transfer codings other than chunked are a 501 (RFC 9112, 6.1). gunicorn
//     accepts some before the final chunked and hands the application content
//     that is still encoded. Any Transfer-Encoding in HTTP/1.0 is a 400.
//   - HTTP/2.0 and other major versions are a 505 (RFC 9110, 15.6.6); gunicorn
//     says 400.
//   - An expectation other than 100-continue in HTTP/1.0 is ignored, as
//     100-continue is there (RFC 9110, 10.1.1); gunicorn says 417.
//   - A Content-Length above the range of int64 is a 400; gunicorn waits for
//     that much content.
//   - A chunk size has at most 15 digits, the extensions of a chunk at most
//     1 KiB, trailer fields at most 16380 bytes. gunicorn has no limit on the
//     digits, and those of the head on the others.
//   - An unlimited request line ends at a bound all the same, see Limits.
//
// Compat has gunicorn's switches for peers that cannot be mended; by default all
// are off. Names with an underscore are not judged here: which of them reach the
// application is decided where the environ is made.
package http1

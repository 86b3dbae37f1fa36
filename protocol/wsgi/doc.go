// Package wsgi holds the server's side of PEP 3333 that needs no Python: what an
// application may pass to start_response, how its answer is framed on the wire
// (RFC 9112, 6), and what the environ says of the request's path and scheme. It
// does no I/O.
package wsgi

// Package accesslog makes the lines of the access log and writes them.
//
// A Format is compiled once from gunicorn's language of atoms, or is the form of
// one JSON object a line. An Entry is what is said of one request, an Ending how it
// came out. Every thread that logs has a Pen, which turns both into a line without
// allocating; a Draft keeps a line whose ending is still to come. A Log takes the
// finished lines of all pens into a buffer that a goroutine writes out.
//
// Nothing that a client or an application says can end a line, a quoted item or a
// JSON string: everything that is not printable ASCII is escaped, and so are quotes
// and backslashes.
package accesslog

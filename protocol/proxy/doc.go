// Package proxy reads what proxies in front of the server say of the clients
// behind them: the PROXY protocol's header at the start of a connection, and the
// header fields of a request that carry the client's address and scheme. It
// decides what is said, not who may say it, and does no I/O.
package proxy

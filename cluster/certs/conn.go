package certs

import (
	"crypto/tls"
	"net"
)

// Conn is the server's end of a TLS connection whose Close never waits: it says
// nothing to the peer, who may not be reading. CloseWrite says it.
type Conn struct {
	*tls.Conn
	raw net.Conn
}

// Over joins a TLS connection with what it runs over.
func Over(conn *tls.Conn, raw net.Conn) *Conn { return &Conn{conn, raw} }

// Close closes what is below.
func (c *Conn) Close() error { return c.raw.Close() }

// listener makes Conns.
type listener struct {
	net.Listener
	cfg *tls.Config
}

// Listen puts TLS over what ln accepts; the handshake happens with the first Read
// or Write, and its time counts as theirs.
func Listen(ln net.Listener, cfg *tls.Config) net.Listener { return &listener{ln, cfg} }

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Over(tls.Server(nc, l.cfg), nc), nil
}

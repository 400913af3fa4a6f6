// Package secure puts TLS (crypto/tls) between the loops' connections and their
// protocols, which need not know.
//
// A handshake cannot be resumed where its bytes run out, so it has a goroutine
// for as long as it takes, which the loop feeds. After it the loop goes on alone:
// the tls.Conn reads and writes memory, and a whole flush becomes one send. A
// connection that asks for a protocol that loops do not speak (ALPN), or that is
// handed over to somebody who reads and writes by himself, keeps its tls.Conn,
// over the socket then.
package secure

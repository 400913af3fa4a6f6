// Package fabric connects the nodes of a cluster: one UDP port a node, on which
// it dials and listens with QUIC (RFC 9000), TLS 1.3 both ways by certificates
// of package pki.
//
// A session is one QUIC connection for one protocol, named by its ALPN. Raft,
// control and relay each have their own, so that the losses of media do not
// cost raft its lease. Each side dials its own sessions: the one that dialed
// asks, the other serves.
//
//	dialer                                     acceptor
//	   | ClientHello, ALPN              -->       |
//	   | <--          ServerHello, certificate    |  checked: CA, time, role, the name dialed
//	   | certificate                    -->       |  checked: CA, time, role, may it speak this ALPN
//	   | <--  greeting: first unidirectional stream, the byte 0x01 and FIN
//	   |      streams of the protocol             |
//
// A node without a certificate is a guest: it is let in by [ALPNJoin], for one request
// and one answer, where [Fabric.HandleGuests] says so. It is no session.
//
// The greeting says that the acceptor took the session: in TLS 1.3 the dialer's
// handshake ends before the other side has looked at its certificate. The
// users of a session never see that stream.
//
// [Fabric.Session] gives the one live session to a node and dials when there
// is none: one dial at a time for all who wait, and a quick error while it backs off
// after failures. A session lives by its keep-alives: both ends say something
// within 750 ms, and one from which nothing has come for 1.75 s is given up, so
// that a peer which vanished is dialed anew and not waited for. A node that has restarted at
// its port ends its former sessions by stateless reset, and one that stops says
// so. QUIC's own idle timeout of 10 s is the last resort. A session outlives a
// change of the dialer's address, or of its port behind a NAT: the acceptor follows.
//
// quic-go's streams go by the names [Stream], [SendStream] and [ReceiveStream]
// here, so that no other package needs to import it.
package fabric

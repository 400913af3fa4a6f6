// Package rtmp speaks RTMP (Adobe, "Real Time Messaging Protocol", 1.0, 2012)
// without doing I/O: bytes from a peer are fed in, events come out, and bytes
// to send pile up in an output buffer.
//
// [ServerConn] is the side that encoders and players connect to, [ClientConn]
// the side of an encoder or a player. Neither has a goroutine, a lock or a
// clock; each belongs to one goroutine at a time. [AppendMedia] renders what
// players get, in a form that all players of a stream share.
//
// A loop around a connection reads:
//
//	for len(b) > 0 {
//		n, ev, err := c.Feed(b)
//		b = b[n:]
//		if err != nil {
//			break // send Output, then close
//		}
//		switch ev.Kind { ... }
//	}
//	n := send(c.Output())
//	c.Sent(n)
//
// Call Close once the socket is gone: it gives back what the connection holds
// of the process-wide [Budget].
package rtmp

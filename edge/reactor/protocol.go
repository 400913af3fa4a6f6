package reactor

// Protocol is the callbacks of a connection. All are called on the connection's
// loop, one at a time, and must not block. After Close, CloseAfterFlush and
// Detach only OnClose may still come, after Detach not even that.
type Protocol interface {
	// OnData gets bytes as they arrive; b is the loop's scratch, valid only
	// during the call. All of b is consumed by the call.
	OnData(c *Conn, b []byte)
	// OnWritable tells that a socket which took less than it was given takes
	// bytes again; what Write had queued has been sent before.
	OnWritable(c *Conn)
	// OnTimer is the timer of SetTimer.
	OnTimer(c *Conn)
	// OnClose is the last call, exactly once for each connection whose open
	// function returned a Protocol: reason is what Close was given, io.EOF when
	// the peer ended, a system error, or the cause of Run's context. c must not
	// be used afterwards: its place is given to another connection.
	OnClose(c *Conn, reason error)
}

package rtmp

import "tmms/media/amf0"

// AcceptPublish lets the peer publish what the last EventPublish asked for.
// Without such an event it does nothing, as the other decisions do.
func (c *ServerConn) AcceptPublish() {
	if !c.asks(PhasePublish) {
		return
	}
	c.admit()
	if name := c.fcPublish; name != "" {
		c.fcPublish = ""
		c.send(0, "onFCPublish", 0, amf0.Null(), statusObject(levelStatus, "NetStream.Publish.Start", name))
	}
	c.status(c.streamID, levelStatus, "NetStream.Publish.Start", "Publishing.")
}

// RejectPublish refuses with NetStream.Publish.BadName; close after sending Output.
func (c *ServerConn) RejectPublish(description string) {
	if c.asks(PhasePublish) {
		c.reject("NetStream.Publish.BadName", description)
	}
}

// AcceptPlay lets the peer play what the last EventPlay asked for. What
// AppendMedia gives may follow Output, at any message boundary.
func (c *ServerConn) AcceptPlay() {
	if !c.asks(PhasePlay) {
		return
	}
	c.admit()
	c.out.buf = appendUserControl(c.out.buf, userStreamBegin, c.streamID)
	c.status(c.streamID, levelStatus, "NetStream.Play.Reset", "Playing and resetting.")
	c.status(c.streamID, levelStatus, "NetStream.Play.Start", "Playing.")
}

// RejectPlay refuses with a code such as "NetStream.Play.StreamNotFound"; close
// after sending Output.
func (c *ServerConn) RejectPlay(code, description string) {
	if c.asks(PhasePlay) {
		c.reject(code, description)
	}
}

// EndPlay tells a player that the stream has ended. The player may play again
// on the same connection.
func (c *ServerConn) EndPlay() {
	if c.phase != PhasePlay || c.closed {
		return
	}
	c.resume()
	c.out.buf = appendUserControl(c.out.buf, userStreamEOF, c.streamID)
	c.status(c.streamID, levelStatus, "NetStream.Play.UnpublishNotify", "The stream has ended.")
	c.leave()
}

// FailPlay tells a player that what it plays can't go on, with a code such as
// "NetStream.Play.Failed"; close after sending Output.
func (c *ServerConn) FailPlay(code, description string) {
	if c.phase != PhasePlay || c.closed {
		return
	}
	c.resume()
	c.out.buf = appendUserControl(c.out.buf, userStreamEOF, c.streamID)
	c.status(c.streamID, levelError, code, description)
	c.leave()
}

// Caps are what the peer can do; none before it has connected.
func (c *ServerConn) Caps() Caps {
	if c.session == nil {
		return 0
	}
	return c.session.info.Caps
}

// Reconnect asks the peer to connect anew and, once it has, to leave (Enhanced
// RTMP v2, Reconnect Request): at address, HOST:PORT, or where it is connected
// to if that is "". A peer without [CapsReconnect] is not asked: that is false.
func (c *ServerConn) Reconnect(address, description string) bool {
	return c.ReconnectWith(address, "", description)
}

// ReconnectWith is Reconnect with one more parameter in the query, NAME=VALUE, by which
// the other node knows where the peer comes from.
func (c *ServerConn) ReconnectWith(address, parameter, description string) bool {
	if c.closed || c.Caps()&CapsReconnect == 0 {
		return false
	}
	c.resume()
	info := statusObject(levelStatus, codeReconnect, description)
	at := replaceHost(c.session.info.TcURL, address)
	if at != "" && isPlain(at) {
		at = withParameter(at, parameter)
	}
	if at != "" {
		info.Props = append(info.Props, amf0.Property{Name: "tcUrl", Value: amf0.String(at)})
	}
	c.send(0, "onStatus", 0, amf0.Null(), info)
	return true
}

// CanMove reports whether Reconnect sends the peer to the address that it is given:
// one without [CapsReconnect] is not asked, and one that came over TLS is asked to
// come by the name that it knows.
func (c *ServerConn) CanMove() bool {
	return !c.closed && c.Caps()&CapsReconnect != 0 && isPlain(c.session.info.TcURL)
}

// codeReconnect is the code of a request to reconnect.
const codeReconnect = "NetConnection.Connect.ReconnectRequest"

// asks reports whether a request for phase p waits for a decision.
func (c *ServerConn) asks(p Phase) bool {
	return c.serverWork != nil && c.pending != nil && c.wanted == p
}

func (c *ServerConn) reject(code, description string) {
	id := c.pending.StreamID
	c.pending = nil
	c.status(id, levelError, code, description)
}

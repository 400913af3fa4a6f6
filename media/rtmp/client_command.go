package rtmp

import (
	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// Transactions of the calls whose answers matter.
const (
	transactionConnect = 1
	transactionCreate  = 4
)

// handle takes one complete message.
func (c *ClientConn) handle(s *chunkStream) (Event, error) {
	switch s.typ {
	case typeAudio, typeVideo, typeData:
		if len(s.buf) == 0 || c.cfg.Role != RolePlay {
			return Event{}, nil
		}
		c.ended = false
		m := Message{Type: media.Type(s.typ), Timestamp: s.timestamp, Body: s.buf}
		return Event{Kind: EventMessage, Message: m}, nil
	case typeCommand, typeCommandAMF3:
		cmd, err := parseCommand(s.typ, s.buf)
		if err != nil {
			return Event{}, err
		}
		return c.command(&cmd), nil
	}
	return c.control(s)
}

// control takes a protocol control or user control message.
func (c *ClientConn) control(s *chunkStream) (Event, error) {
	if s.typ > typePeerBandwidth {
		return Event{}, nil
	}
	v, err := controlValue(s)
	if err != nil {
		return Event{}, err
	}
	switch s.typ {
	case typeSetChunkSize:
		return Event{}, c.reader.setChunkSize(v)
	case typeAbort:
		c.reader.abort(v)
	case typeAck:
		c.ackedOut = v
	case typeWindowAckSize:
		c.window = v
	case typePeerBandwidth:
		if v != c.sentWindow {
			c.sentWindow = v
			c.out.buf = appendControl(c.out.buf, typeWindowAckSize, v)
		}
	case typeUserControl:
		return c.userControl(uint16(s.buf[0])<<8|uint16(s.buf[1]), v), nil
	}
	return Event{}, nil
}

func (c *ClientConn) userControl(event uint16, v uint32) Event {
	switch event {
	case userPingRequest:
		c.out.buf = appendUserControl(c.out.buf, userPingResponse, v)
	case userStreamEOF:
		return c.end()
	}
	return Event{}
}

// end gives EventEOF once for each end of the stream.
func (c *ClientConn) end() Event {
	if c.ended || c.phase != clientReady || c.cfg.Role != RolePlay {
		return Event{}
	}
	c.ended = true
	return Event{Kind: EventEOF}
}

func (c *ClientConn) command(cmd *command) Event {
	switch cmd.name {
	case "_result":
		c.answered(cmd)
	case "_error":
		if cmd.transaction == transactionConnect || cmd.transaction == transactionCreate {
			return c.refused(cmd.arg(0))
		}
	case "onStatus":
		return c.onStatus(cmd.arg(0))
	case "close":
		return c.end()
	}
	return Event{}
}

func (c *ClientConn) refused(info amf0.Value) Event {
	return Event{Kind: EventRefused, Status: &Status{
		Code:        info.Get("code").Text(),
		Description: info.Get("description").Text(),
		Redirect:    redirectOf(info, c.cfg.URL.Stream),
	}}
}

func (c *ClientConn) onStatus(info amf0.Value) Event {
	if info.Get("level").Text() == levelError {
		return c.refused(info)
	}
	switch info.Get("code").Text() {
	case codeReconnect:
		return Event{Kind: EventReconnect, Status: &Status{
			Code: codeReconnect, Description: info.Get("description").Text(), TcURL: info.Get("tcUrl").Text(),
		}}
	case "NetStream.Publish.Start", "NetStream.Play.Start":
		if c.phase == clientStarting {
			c.phase = clientReady
			return Event{Kind: EventReady}
		}
	case "NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete":
		return c.end()
	}
	return Event{}
}

// answered goes on after the answers to connect and createStream.
func (c *ClientConn) answered(cmd *command) {
	switch {
	case cmd.transaction == transactionConnect && c.phase == clientConnecting:
		c.serverCaps, c.serverCCs = Caps(toUint32(cmd.arg(0).Get("capsEx").Float())), fourCCs(cmd.arg(0))
		c.create()
	case cmd.transaction == transactionCreate && c.phase == clientCreating:
		c.streamID = toUint32(cmd.arg(0).Float())
		c.start()
	}
}

// connect sends the connect command, behind the handshake.
func (c *ClientConn) connect() {
	c.phase = clientConnecting
	if c.cfg.Order == OrderOBS {
		c.setChunkSize()
	}
	c.transaction = transactionConnect
	c.send(0, "connect", transactionConnect, amf0.Object(c.connectProps()...))
	if c.cfg.Order != OrderOBS {
		c.setChunkSize()
	}
}

func (c *ClientConn) setChunkSize() {
	c.out.buf = appendControl(c.out.buf, typeSetChunkSize, uint32(c.cfg.ChunkSize))
	c.chunkSize = c.cfg.ChunkSize
}

// connectProps is the command object of connect.
func (c *ClientConn) connectProps() []amf0.Property {
	props := c.plainProps()
	if c.cfg.Caps == 0 && len(c.cfg.FourCCs) == 0 {
		return props
	}
	return append(props, c.announce()...)
}

// announce is what Enhanced RTMP v2 adds to it.
func (c *ClientConn) announce() []amf0.Property {
	var video, audio []string
	for _, name := range c.cfg.FourCCs {
		if flv.ParseFourCC(name)&^flv.VideoFourCCs == 0 || name == "*" {
			video = append(video, name)
		}
		if flv.ParseFourCC(name)&^flv.AudioFourCCs == 0 || name == "*" {
			audio = append(audio, name)
		}
	}
	return capsProps(video, audio, canDecode, c.cfg.Caps)
}

func (c *ClientConn) plainProps() []amf0.Property {
	text := func(name, s string) amf0.Property { return amf0.Property{Name: name, Value: amf0.String(s)} }
	number := func(name string, f float64) amf0.Property {
		return amf0.Property{Name: name, Value: amf0.Number(f)}
	}
	flashVer := c.cfg.FlashVer
	if flashVer == "" {
		flashVer = "LNX 9,0,124,2"
		if c.cfg.Role == RolePublish {
			flashVer = "FMLE/3.0 (compatible; tmms)"
		}
	}
	props := []amf0.Property{text("app", c.cfg.URL.App)}
	if c.cfg.Role == RolePublish {
		props = append(props, text("type", "nonprivate"))
	}
	props = append(props, text("flashVer", flashVer), text("tcUrl", c.cfg.URL.TcURL()))
	if c.cfg.Order == OrderOBS {
		return append(props, text("swfUrl", c.cfg.URL.TcURL()))
	}
	if c.cfg.Role == RolePublish {
		return props
	}
	return append(props, amf0.Property{Name: "fpad", Value: amf0.Bool(false)},
		number("capabilities", 15), number("audioCodecs", 4071), number("videoCodecs", 252), number("videoFunction", 1))
}

// create asks for a message stream; publishers announce the stream first.
func (c *ClientConn) create() {
	c.phase = clientCreating
	stream := amf0.String(c.cfg.URL.Stream)
	if c.cfg.Role == RolePublish && c.cfg.Order != OrderMinimal {
		c.send(0, "releaseStream", 2, amf0.Null(), stream)
		c.send(0, "FCPublish", 3, amf0.Null(), stream)
	}
	c.transaction = transactionCreate
	c.send(0, "createStream", transactionCreate, amf0.Null())
}

func (c *ClientConn) start() {
	c.phase = clientStarting
	stream := amf0.String(c.cfg.URL.Stream)
	c.transaction++
	if c.cfg.Role == RolePublish {
		c.send(c.streamID, "publish", c.transaction, amf0.Null(), stream, amf0.String("live"))
		return
	}
	c.send(c.streamID, "play", c.transaction, amf0.Null(), stream, amf0.Number(-2000))
}

// Stop ends what is published or played, as a client does in front of closing.
func (c *ClientConn) Stop() {
	if c.phase != clientReady {
		return
	}
	c.phase = clientStopped
	if c.cfg.Role == RolePublish && c.cfg.Order != OrderMinimal {
		c.transaction++
		c.send(0, "FCUnpublish", c.transaction, amf0.Null(), amf0.String(c.cfg.URL.Stream))
	}
	c.transaction++
	c.send(0, "deleteStream", c.transaction, amf0.Null(), amf0.Number(float64(c.streamID)))
}

func (c *ClientConn) send(streamID uint32, name string, transaction float64, args ...amf0.Value) {
	c.out.buf = appendCommand(c.out.buf, c.chunkSize, streamID, command{name, transaction, args})
}

package rtmp

// maxParked is the number of chunk streams that a player may have used to be
// parked: control messages, commands on the connection, commands on the stream.
const maxParked = 3

// serverWork is what a ServerConn needs while it has something in hand.
type serverWork struct {
	reader chunkReader
	out    outbox
	err    error // final

	handshake *serverHandshake // nil once it is over
	aggregate *aggregate       // not nil while one is being split
	pending   *Request         // to be decided by Accept or Reject
	fcPublish string           // name in FCPublish, to be answered when the publish is accepted
	wanted    Phase            // that pending asks for
}

// idle reports that nothing would be lost with w but the chunk streams'
// headers.
func (w *serverWork) idle() bool {
	return w.err == nil && w.out.len() == 0 && w.handshake == nil && w.aggregate == nil && w.pending == nil &&
		w.fcPublish == "" && w.reader.idle()
}

// parkedStream is what is left of a chunk stream between two messages: what a
// header of type 1 to 3 refers to. The extended timestamp is that of delta.
type parkedStream struct {
	timestamp, delta uint32
	length           uint32 // 24 bits, behind 8 of the type
	ids              uint32 // message stream, hasExt, chunk stream: 14, 1 and 17 bits
}

// Layout of parkedStream.ids.
const (
	parkedExt     = 1 << 17
	shiftParkedID = 18
	maxParkedID   = 1<<14 - 1
)

// parkable reports that parkedStream can hold all of a chunk stream.
func (s *chunkStream) parkable() bool {
	return !s.open && (!s.hasExt || s.ext == s.delta) && s.streamID <= maxParkedID
}

func (s *chunkStream) park() parkedStream {
	p := parkedStream{
		timestamp: s.timestamp, delta: s.delta, length: uint32(s.typ)<<24 | s.length, ids: s.streamID<<shiftParkedID | s.id,
	}
	if s.hasExt {
		p.ids |= parkedExt
	}
	return p
}

// resume is park's reverse; buf may be of any other chunk stream.
func (p *parkedStream) resume(buf []byte) chunkStream {
	return chunkStream{
		buf: buf, id: p.ids & (parkedExt - 1), timestamp: p.timestamp, delta: p.delta, ext: p.delta,
		length: p.length & 0xFFFFFF, streamID: p.ids >> shiftParkedID, typ: uint8(p.length >> 24),
		hasExt: p.ids&parkedExt != 0,
	}
}

// park gives the working state of a player that has nothing in hand back to
// the group: most players never say more than an acknowledgement now and then.
func (c *ServerConn) park() {
	if c.group == nil || c.phase != PhasePlay || !c.serverWork.idle() {
		return
	}
	streams := c.reader.streams
	c.parkedLen, c.chunkSize = uint8(len(streams)), c.reader.chunkSize
	for i := range streams {
		c.parked[i] = streams[i].park()
	}
	c.group.spare, c.serverWork = c.serverWork, nil
}

// resume takes working state from the group.
func (c *ServerConn) resume() {
	if c.serverWork == nil {
		c.serverWork = c.group.work()
		c.reader.resume(c.parked[:c.parkedLen], c.chunkSize)
	}
}

// idle reports that r stands between two messages and can be parked.
func (r *chunkReader) idle() bool {
	if r.state != readHeader || r.headerLen|r.heldLen != 0 || len(r.streams) > maxParked {
		return false
	}
	for i := range r.streams {
		if !r.streams[i].parkable() {
			return false
		}
	}
	return true
}

// resume makes r, which is idle, the reader of another player.
func (r *chunkReader) resume(parked []parkedStream, chunkSize uint32) {
	spare := r.streams // with their buffers
	r.streams, r.chunkSize, r.current, r.kept = r.streams[:0], chunkSize, 0, 0
	for i := range parked {
		var buf []byte
		if i < len(spare) {
			buf = spare[i].buf
		}
		r.streams = append(r.streams, parked[i].resume(buf))
		r.kept += uint32(cap(buf))
	}
	r.playerMode()
}

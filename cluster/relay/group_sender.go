package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/relaywire"
)

// startPoint is where a subscription begins.
type startPoint struct {
	offset  int64
	id      media.PacketID
	exact   bool
	configs *Configs // nil: the subscriber has them, or they come in line
	within  bool     // offset lies within a group without a beginning
}

// begin finds where the subscriber goes on, else the newest group, or for the standby
// the one with the beginning of the open segment.
func (s *subscription) begin(live *Live) startPoint {
	if s.request.Resume {
		seen := s.request.Seen.ID
		if from, ok := live.after(seen, s.maxLag(live)); ok {
			if seen.Index == lastIndex { // the subscriber has none
				from.configs = live.configsAt(from.offset)
			}
			return from
		}
	}
	if s.isNamed() {
		if from, ok := live.unfinished(); ok {
			return from
		}
	}
	return live.newest()
}

// newest is the first frame of the newest group; with an empty log its head.
func (l *Live) newest() startPoint {
	if j, ok := l.NewestGroup(); ok && j.Offset >= l.log.Tail() {
		if e, ok := l.log.At(j.Offset); ok {
			return startPoint{offset: j.Offset, id: e.ID, configs: j.Configs}
		}
	}
	if l.log.Tail() == 0 { // no frame yet: everything, there is little
		return startPoint{}
	}
	return startPoint{offset: l.log.Head(), configs: l.Configs(), within: true}
}

// after finds the packet that follows last. A life that began after last's epoch
// is sent from its beginning, if it is whole and not longer than recent.
func (l *Live) after(last media.PacketID, recent time.Duration) (from startPoint, ok bool) {
	r := l.log.Reader(l.searchFrom(last))
	first := true
	for {
		at := r.Offset()
		e, _, more := r.Next()
		switch {
		case !more:
			// Everything in the log is older or equal.
			return startPoint{offset: at, exact: true}, !first
		case e.ID.Compare(last) > 0 && !first:
			return startPoint{offset: e.Off, id: e.ID, exact: true}, true
		case e.ID.Compare(last) > 0:
			if last.Index == lastIndex && e.ID == (media.PacketID{Epoch: last.Epoch, Group: last.Group + 1}) {
				return startPoint{offset: e.Off, id: e.ID, exact: true}, true
			}
			whole := e.Off == 0 && e.ID.Group == 0 && e.ID.Index == 0 && e.ID.Epoch > last.Epoch
			return startPoint{id: e.ID, exact: true}, whole && (l.LastDTS()-e.DTS).Duration() <= recent
		}
		first = false
	}
}

// configsAt are the configs in force at an offset, or at the next place to join
// behind it; nil: there are none.
func (l *Live) configsAt(offset int64) *Configs {
	joins := l.joins.Load()
	if joins == nil || len(*joins) == 0 {
		return l.Configs()
	}
	configs := (*joins)[0].Configs
	for _, j := range *joins {
		if j.Offset <= offset {
			configs = j.Configs
		}
	}
	return configs
}

// searchFrom is an offset at or before the packet id, the tail if the joins
// don't know a better one.
func (l *Live) searchFrom(id media.PacketID) int64 {
	from := l.log.Tail()
	joins := l.joins.Load()
	if joins == nil {
		return from
	}
	for _, j := range *joins {
		if j.Epoch > id.Epoch || j.Epoch == id.Epoch && j.Group >= id.Group {
			break
		}
		from = max(from, j.Offset)
	}
	return from
}

// groupSender writes the packets of the log as group streams.
type groupSender struct {
	sub     *subscription
	stream  *fabric.SendStream // nil: none is open
	packets relaywire.Packets  // of stream
	run     uint32             // of stream
	configs *Configs           // for the header of the next stream
	within  bool               // the packets of a group without a beginning come first
	passing *groupPosition     // that group, once it is known
}

// startAt makes from the next place to send from.
func (s *subscription) startAt(live *Live, from startPoint) {
	s.src = live.log.Reader(from.offset)
	s.group.configs, s.group.within, s.group.passing = from.configs, from.within, nil
}

// pass tells that e belongs to a group whose beginning the log has not got.
func (g *groupSender) pass(e *bytelog.Entry) bool {
	if !g.within {
		return false
	}
	if g.passing == nil {
		g.passing = &groupPosition{e.ID.Epoch, e.ID.Group}
	}
	g.within = !g.passing.before(e.ID.Epoch, e.ID.Group)
	return g.within
}

// errAbandoned says that the open group was given up.
var errAbandoned = errors.New("group abandoned")

// flush sends what is new in the log.
func (s *subscription) flush(ctx context.Context, live *Live) error {
	if live.log.Head() == s.sent.Load() {
		return nil
	}
	p := s.server.buffers.Get().(*[]byte)
	defer s.server.buffers.Put(p)
	s.busy.Store(time.Now().UnixNano())
	defer s.busy.Store(0)
	for {
		err := s.group.send(ctx, live, (*p)[:0])
		if err == nil {
			s.sent.Store(s.src.Offset())
			return nil
		}
		if !errors.Is(err, errAbandoned) {
			return err
		}
		if err := s.skip(live); err != nil {
			return err
		}
	}
}

// skip goes on at the newest group.
func (s *subscription) skip(live *Live) error {
	s.group.cancel(relaywire.CodeAbandoned)
	s.startAt(live, live.newest())
	s.busy.Store(time.Now().UnixNano())
	s.server.metrics.abandoned.Inc()
	if g := live.gate.Load(); g != nil {
		g.gap(s)
	}
	s.peer.session.CountReset(false)
	if s.seq == 0 {
		return nil
	}
	return s.tell(relaywire.Skip{Seq: s.seq - 1})
}

// send writes everything up to the log's head; buf is scratch.
func (g *groupSender) send(ctx context.Context, live *Live, buf []byte) (err error) {
	s := g.sub
	for {
		e, raw, ok := s.src.Next()
		if !ok {
			if s.src.Overtaken() {
				return errAbandoned
			}
			return g.write(buf)
		}
		if g.pass(&e) {
			continue
		}
		if g.stream == nil || e.ID != g.packets.Next() || e.Run != g.run {
			if buf, err = g.next(ctx, &e, buf); err != nil {
				return err
			}
		}
		s.sentDTS.Store(int64(e.DTS))
		if buf, err = g.append(&e, raw, buf); err != nil {
			return err
		}
		if len(buf) < sendBuffer {
			continue
		}
		if s.late(live, time.Now()) {
			return errAbandoned
		}
		if err := g.write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
}

// append codes a packet. The body of a large one is not copied but written.
func (g *groupSender) append(e *bytelog.Entry, raw, buf []byte) ([]byte, error) {
	dts := e.DTS - g.sub.live.Load().Ahead(e.ID.Epoch)
	p := media.Packet{
		Type: e.Type, Kind: e.Kind, Codec: e.Codec, Track: e.Track, DTS: dts, CTO: e.CTO, Ingested: e.Ingested,
	}
	body := e.Body(raw)
	buf = g.packets.AppendHead(buf, &p, len(body))
	if len(buf)+len(body) <= sendBuffer {
		return append(buf, body...), nil
	}
	if err := g.write(buf); err != nil {
		return nil, err
	}
	return buf[:0], g.write(body)
}

// next begins the stream of e's group; what buf holds still belongs to the one before.
func (g *groupSender) next(ctx context.Context, e *bytelog.Entry, buf []byte) ([]byte, error) {
	if err := g.write(buf); err != nil {
		return nil, err
	}
	if err := g.close(); err != nil {
		return nil, err
	}
	s := g.sub
	stream, err := s.peer.session.OpenUni(ctx)
	if err != nil {
		return nil, err
	}
	stream.SetPriority(urgencyLive, false)
	h := relaywire.GroupHeader{
		Subscription: s.request.ID, Seq: s.seq, ID: e.ID, Run: e.Run, Configs: g.configs.wire(), Times: s.times(),
	}
	s.seq++
	g.stream, g.run, g.configs, g.packets = stream, e.Run, nil, h.Packets()
	s.position.Store(&groupPosition{e.ID.Epoch, e.ID.Group})
	s.out.Store(stream)
	if ctx.Err() != nil { // abort may have missed it
		g.cancel(relaywire.CodeDone)
		return nil, ctx.Err()
	}
	return relaywire.AppendGroupHeader(buf[:0], &h), nil
}

// wire is the form of c in a group header.
func (c *Configs) wire() *relaywire.Configs {
	if c == nil {
		return nil
	}
	w := &relaywire.Configs{Metadata: c.Metadata, Headers: make([]relaywire.Header, len(c.Headers))}
	for i, h := range c.Headers {
		w.Headers[i] = relaywire.Header(h)
	}
	return w
}

// write sends b on the open stream.
func (g *groupSender) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	n, err := g.stream.Write(b)
	g.sub.count(n)
	if err == nil {
		return nil
	}
	var reset *fabric.StreamError
	if errors.As(err, &reset) && !reset.Remote && reset.ErrorCode == fabric.StreamErrorCode(relaywire.CodeAbandoned) {
		return errAbandoned
	}
	return fmt.Errorf("group %d: %w", g.packets.Next().Group, err)
}

// close ends the open stream: the group is whole.
func (g *groupSender) close() error {
	if g.stream == nil {
		return nil
	}
	stream := g.stream
	g.stream = nil
	g.sub.out.Store(nil)
	return stream.Close()
}

// cancel gives the open stream up.
func (g *groupSender) cancel(code relaywire.Code) {
	if g.stream != nil {
		g.stream.CancelWrite(fabric.StreamErrorCode(code))
		g.stream = nil
		g.sub.out.Store(nil)
	}
}

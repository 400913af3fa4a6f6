package relay

import (
	"tmms/media"
	"tmms/media/hls"
)

// isStandby tells that this node is the stream's standby.
func (p *pull) isStandby() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standby
}

// resumes tells that this node could go on with an index that it has, as the stream's
// next owner: the index says how, and the packets are here that the open segment was
// made of so far. p.mu is held.
func (p *pull) resumes(x *hls.Index) bool {
	if len(x.Resume) == 0 || p.writer == nil {
		return false
	}
	if x.Cut == 0 { // no segment has begun behind those that are whole
		return true
	}
	_, ok := p.writer.live.groupAt(x.Cut)
	return ok && p.whole <= x.Cut
}

// groupAt is the newest group that begins, by the stream's clock, at or before a time;
// !ok: the log has none.
func (l *Live) groupAt(dts media.Timestamp) (at Join, ok bool) {
	joins := l.joins.Load()
	if joins == nil {
		return Join{}, false
	}
	tail := l.log.Tail()
	for _, j := range *joins {
		if j.Offset >= tail && j.DTS-l.Ahead(j.Epoch) <= dts {
			at, ok = j, true
		}
	}
	return at, ok
}

// unfinished is where the group begins in which the open segment does.
func (l *Live) unfinished() (from startPoint, ok bool) {
	x := l.Made()
	if x == nil || x.Cut == 0 {
		return startPoint{}, false
	}
	j, ok := l.groupAt(x.Cut)
	if !ok {
		return startPoint{}, false
	}
	e, ok := l.log.At(j.Offset)
	return startPoint{offset: j.Offset, id: e.ID, configs: j.Configs}, ok
}

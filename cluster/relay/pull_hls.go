package relay

import "tmms/media/hls"

// want notes what readers want.
func (p *pull) want(w want) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.hls && p.hls {
		p.shelf.clear()
		if p.writer != nil {
			p.writer.PublishIndex(nil)
		}
	}
	if p.standby && !w.standby && p.writer != nil {
		p.writer.keepFrom(0)
	}
	p.hls, p.standby = w.hls, w.standby
}

// update passes on what readers want.
func (p *pull) update() {
	for _, in := range []*intake{p.intake, p.next} {
		if in != nil {
			in.update()
		}
	}
}

// holdIndex notes that the stream has a later epoch than the index that readers see.
func (p *pull) holdIndex(epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.shelf.hold(epoch); x != nil && p.writer != nil {
		p.writer.PublishIndex(x)
	}
}

// show makes an index the one that readers see. A standby keeps the packets that the
// open segment is made of, so that it can close that. p.mu is held.
func (p *pull) show(x *hls.Index) {
	p.writer.PublishIndex(x)
	if p.standby {
		p.writer.keepFrom(x.Cut)
	}
}

// trim drops the segments that the node has no room for.
func (p *pull) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.shelf.trim(); x != nil && p.writer != nil {
		p.show(x)
	}
}

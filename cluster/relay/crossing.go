package relay

import (
	"slices"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/relaywire"
)

// Of the place where a higher epoch begins for the readers of a node.
const (
	// frameStep is from the last frame of an epoch to the first of the next one if that
	// is moved, in ms: 25 frames a second.
	frameStep media.Timestamp = 40
	// smallStep is by how much a group may begin before what was shown, in ms, and is moved
	// and not left out: nobody notices, and no picture is lost.
	smallStep media.Timestamp = 100
	// backlog is by when a source has sent what it had of the epoch: then it shows how far
	// behind that is.
	backlog = 500 * time.Millisecond
	// heldPacket is what a packet that is held takes besides its body, in bytes.
	heldPacket = 128
)

// crossing is a pull's way into a higher epoch, on which the clock of this node's
// readers never goes back. Mostly it is a single packet long, since a new owner goes
// on behind what its subscribers had. But where two owners could not reach each other
// both have gone on: what the new one has begins before what was shown of the old one
// here, or has another clock altogether.
//
// The epoch begins with the first group that is not before what was shown; until then
// the old owner's packets are, while there are any. If the new owner is behind by more
// than the lag cap, or no such group has begun within that, the epoch begins with the
// newest group, and the log's clock is ahead of the stream's from there on, see [Live.Ahead].
type crossing struct {
	since   time.Time         // its first packet came
	last    media.PacketID    // that was looked at
	configs relaywire.Configs // what the epoch has said of them before last's group
	group   []media.Packet    // last's, so far
	bytes   int               // that group takes
	first   media.Timestamp   // of group's frames
	framed  bool              // it has one
}

// cross takes the next packet of a higher epoch. p.mu is held.
func (p *pull) cross(pkt *media.Packet, configs *relaywire.Configs) error {
	now := time.Now()
	if p.crossing == nil {
		p.crossing = &crossing{since: now}
	}
	c := p.crossing
	if pkt.ID.Compare(c.last) <= 0 { // another subscription has brought it
		return nil
	}
	c.take(pkt, configs)
	return p.enter(now)
}

// arrive begins the higher epoch if it is time to, even if nothing of it comes just now.
func (p *pull) arrive(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crossing != nil {
		_ = p.enter(now) // of a life that was taken over
	}
}

// enter begins the higher epoch with the group that is held, if it is time to. p.mu
// is held.
func (p *pull) enter(now time.Time) error {
	c, live := p.crossing, p.writer.live
	ahead, shown := live.Ahead(c.last.Epoch), live.LastDTS()
	if !c.framed || !c.enters(shown-ahead, live.opt.MaxLag, now) {
		return nil
	}
	p.crossing, p.floor = nil, shown
	if behind := shown - ahead - c.first; behind > 0 {
		p.writer.shift(c.last.Epoch, ahead+behind+frameStep)
		p.seen.DTS = 0 // it was by another clock
	}
	needs := &c.configs
	for i := range c.group {
		if !p.lift(&c.group[i], needs) {
			continue
		}
		if err := p.put(&c.group[i], needs); err != nil {
			return err
		}
		needs = nil
	}
	return nil
}

// take holds a packet, in place of those of the group before.
func (c *crossing) take(pkt *media.Packet, configs *relaywire.Configs) {
	if pkt.ID.Epoch != c.last.Epoch || pkt.ID.Group != c.last.Group {
		for i := range c.group {
			c.note(&c.group[i])
		}
		c.group, c.bytes, c.framed = nil, 0, false
	}
	if configs != nil {
		c.configs = relaywire.Configs{Metadata: configs.Metadata, Headers: slices.Clone(configs.Headers)}
	}
	c.last = pkt.ID
	if isFrame(pkt.Kind) && !c.framed {
		c.first, c.framed = pkt.DTS, true
	}
	held := *pkt
	held.Body = slices.Clone(pkt.Body)
	c.group = append(c.group, held)
	c.bytes += len(held.Body) + heldPacket
}

// note keeps the configuration, or metadata, of a packet that is left out.
func (c *crossing) note(pkt *media.Packet) {
	switch {
	case len(pkt.Body) > media.MaxMessageData, pkt.Type != media.TypeData && len(pkt.Body) > media.MaxCodecConfig:
	case pkt.Kind == media.KindData && pkt.Type == media.TypeData && flv.IsMetadata(pkt.Body):
		c.configs.Metadata = pkt.Body
	case pkt.Kind == media.KindConfig:
		h := relaywire.Header{Type: pkt.Type, Track: pkt.Track, Codec: pkt.Codec, Body: pkt.Body}
		same := func(o relaywire.Header) bool { return o.Type == h.Type && o.Track == h.Track }
		if i := slices.IndexFunc(c.configs.Headers, same); i >= 0 {
			c.configs.Headers[i] = h
		} else if len(c.configs.Headers) < 2*media.MaxTracks {
			c.configs.Headers = append(c.configs.Headers, h)
		}
	}
}

// enters tells that the epoch begins with the group that is held: it is not before
// shown, or there is no use in waiting for one that isn't. Both are by the stream's clock.
func (c *crossing) enters(shown media.Timestamp, near time.Duration, now time.Time) bool {
	newest, waited := c.group[len(c.group)-1].DTS, now.Sub(c.since)
	switch {
	case shown-c.first <= smallStep, c.bytes > media.MaxReorderBytes, waited > near:
		return true
	}
	return waited > backlog && (shown-newest).Duration() > near
}

// lift sees to it that nothing of an epoch lies before what was shown when it began:
// sound may be a little ahead of its picture. false: the packet is left out. p.mu is held.
func (p *pull) lift(pkt *media.Packet, configs *relaywire.Configs) bool {
	before := p.floor - pkt.DTS - p.writer.live.Ahead(pkt.ID.Epoch)
	switch {
	case before <= 0:
		return true
	case pkt.Kind == media.KindAudio && configs == nil:
		return false
	}
	pkt.DTS += before
	return true
}

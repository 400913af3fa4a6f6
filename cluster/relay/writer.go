package relay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/flv"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// What a writer answers.
var (
	// ErrOrder refuses a packet whose identity does not follow the last one's.
	ErrOrder = errors.New("packet out of order")
	// ErrTakenOver refuses packets of a pull whose stream is published on this
	// node now.
	ErrTakenOver = errors.New("stream is published on this node now")
)

// Bounds on the join points of a life.
const (
	// maxJoins bounds the list that a writer publishes anew with each group.
	maxJoins = 256
	// minJoinGap spares an entry for groups that follow faster (streams of
	// nothing but keyframes).
	minJoinGap media.Timestamp = 100
)

// tagTrailer is the length of PreviousTagSize.
const tagTrailer = 4

// Writer feeds one life of a stream. It belongs to one goroutine at a time; a
// pull's writer can lose the life to the writer of a local publisher.
type Writer struct {
	// Set at construction.
	feed   *Feed
	live   *Live
	opt    LiveOptions
	pulled bool // it belongs to a pull, or waits for one

	mu sync.Mutex
	// Guarded by mu.
	gone     bool // another writer has taken the life over, or it has ended
	last     media.PacketID
	started  bool // a packet was written
	newGroup bool // the group's first frame is still to come
	joins    []Join
	// What comes after it, by the stream's clock, is kept, as far as MaxBytes lets it; 0:
	// no more than Keep.
	floor media.Timestamp
}

func newWriter(f *Feed, epoch uint64, opt LiveOptions) *Writer {
	opt = opt.withDefaults()
	live := &Live{key: f.key, opt: opt, log: bytelog.New()}
	live.epoch.Store(epoch)
	return &Writer{feed: f, live: live, opt: opt}
}

// handOver gives the life to another writer, which goes on with it in a new
// epoch. hub.mu is held.
func (w *Writer) handOver(epoch uint64, opt LiveOptions) *Writer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	next := &Writer{
		feed: w.feed, live: w.live, opt: opt.withDefaults(),
		last: w.last, started: w.started, newGroup: true, joins: w.joins,
	}
	w.live.epoch.Store(max(epoch, w.live.epoch.Load()))
	w.live.upstream.Store(nil) // a pull will say where from
	w.live.growing.Store(nil)
	w.live.ungate(true)
	return next
}

// position is how far the life has got.
func (w *Writer) position() (at relaywire.Position, started bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return relaywire.Position{ID: w.last, DTS: w.live.Reached()}, w.started
}

// Live is the life that this writer feeds.
func (w *Writer) Live() *Live { return w.live }

// Append copies p.Body into the log, as one FLV tag. Packets come in the order
// of their identity ([ErrOrder]), which the stream's owner gives, with the
// stream's times; a body is 1 to [media.MaxMessageVideo] bytes.
func (w *Writer) Append(p *media.Packet) error {
	if len(p.Body) == 0 || len(p.Body) > media.MaxMessageVideo {
		return fmt.Errorf("relay: %s: packet body of %d bytes, the limits are 1 and %d",
			w.live.key, len(p.Body), media.MaxMessageVideo)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return fmt.Errorf("relay: %s: %w", w.live.key, ErrTakenOver)
	}
	if w.started && p.ID.Compare(w.last) <= 0 {
		return fmt.Errorf("relay: %s: %w: %v after %v", w.live.key, ErrOrder, p.ID, w.last)
	}
	if !w.started || p.ID.Epoch != w.last.Epoch || p.ID.Group != w.last.Group {
		w.newGroup = true
	}
	if p.ID.Epoch > w.live.Epoch() {
		w.live.epoch.Store(p.ID.Epoch)
	}
	w.last, w.started = p.ID, true
	w.write(p)
	return nil
}

// write puts p into the log. w.mu is held.
func (w *Writer) write(p *media.Packet) { w.writeAt(p, p.DTS+w.live.Ahead(p.ID.Epoch)) }

// writeAt puts p into the log, at a time by the log's clock. w.mu is held.
func (w *Writer) writeAt(p *media.Packet, dts media.Timestamp) {
	w.noteConfig(p)
	if dts > w.live.LastDTS() { // before others see it, who may say at once that they have it
		w.live.lastDTS.Store(int64(dts))
	}
	e := w.append(p, dts)
	w.live.packets.Add(1)
	if w.newGroup && isFrame(p.Kind) {
		w.newGroup = false
		w.addJoin(e)
	}
	w.bound()
}

// bound keeps a group without an end within MaxBytes, and the log's memory within
// its multiple of it: nobody joins at the start of a group that was cut, and who
// reads there is overtaken.
func (w *Writer) bound() {
	log := w.live.log
	if head := log.Head(); head-log.Tail() > w.opt.MaxBytes {
		log.Retire(head - w.opt.MaxBytes)
	}
	log.Shrink(media.LogMemory * w.opt.MaxBytes)
}

func isFrame(k media.Kind) bool {
	return k == media.KindKey || k == media.KindAudio || k == media.KindDelta
}

func (w *Writer) append(p *media.Packet, dts media.Timestamp) bytelog.Entry {
	b := w.live.log.Reserve(flv.TagSize(len(p.Body)))
	flv.AppendTag(b[:0], flv.Tag{Type: p.Type, Timestamp: uint32(dts), Body: p.Body})
	var version uint32
	if c := w.live.Configs(); c != nil {
		version = c.Version
	}
	return w.live.log.Commit(bytelog.Entry{
		ID: p.ID, DTS: dts, Ingested: p.Ingested, Config: version, CTO: p.CTO, Run: p.Run,
		Head: flv.TagHeaderSize, Tail: tagTrailer,
		Type: p.Type, Kind: p.Kind, Codec: p.Codec, Track: p.Track,
	})
}

// noteConfig publishes new Configs if p is a configuration or metadata.
func (w *Writer) noteConfig(p *media.Packet) {
	if p.Kind != media.KindConfig && p.Kind != media.KindData {
		return
	}
	next := Configs{}
	if old := w.live.Configs(); old != nil {
		next = *old
	}
	next.Version++
	body := slices.Clone(p.Body)
	if p.Kind == media.KindData {
		if p.Type != media.TypeData || !flv.IsMetadata(body) {
			return
		}
		next.Metadata = body
	} else {
		next.Headers = setHeader(next.Headers, Header{Type: p.Type, Track: p.Track, Codec: p.Codec, Body: body})
	}
	w.live.configs.Store(&next)
}

// setHeader returns a copy of headers with h in it: audio first, then by track.
func setHeader(headers []Header, h Header) []Header {
	cmp := func(a, b Header) int {
		if a.Type != b.Type {
			return int(a.Type) - int(b.Type)
		}
		return int(a.Track) - int(b.Track)
	}
	i, found := slices.BinarySearchFunc(headers, h, cmp)
	headers = slices.Clone(headers)
	if found {
		headers[i] = h
		return headers
	}
	if len(headers) >= 2*media.MaxTracks {
		return headers
	}
	return slices.Insert(headers, i, h)
}

// addJoin publishes e, the first frame of its group, as a place to start at,
// and retires what the life need not keep.
func (w *Writer) addJoin(e bytelog.Entry) {
	if n := len(w.joins); n > 0 && e.DTS-w.joins[n-1].DTS < minJoinGap && e.ID.Epoch == w.joins[n-1].Epoch {
		return
	}
	configs := w.live.Configs()
	if configs == nil {
		configs = &Configs{}
	}
	w.joins = append(w.joins, Join{
		Offset: e.Off, Epoch: e.ID.Epoch, Group: e.ID.Group, DTS: e.DTS, Configs: configs,
	})
	w.retire(e.DTS)
	published := slices.Clone(w.joins)
	w.live.joins.Store(&published)
}

// retire drops the groups that neither Keep nor MaxBytes lets stay, and those
// that have lost their start.
func (w *Writer) retire(head media.Timestamp) {
	oldest := head - media.Timestamp(w.opt.Keep.Milliseconds())
	if w.floor > 0 {
		oldest = min(oldest, w.floor+w.live.Ahead(w.last.Epoch))
	}
	size, tail := w.live.log.Head(), w.live.log.Tail()
	n := 0
	for n+1 < len(w.joins) && (w.joins[n+1].DTS <= oldest || w.joins[n].Offset < tail ||
		size-w.joins[n].Offset > w.opt.MaxBytes || len(w.joins)-n > maxJoins) {
		n++
	}
	w.joins = slices.Delete(w.joins, 0, n)
	w.live.log.Retire(w.joins[0].Offset)
}

// PublishIndex makes x the index that readers see; nil takes it from them. With a
// standby in sync they see it once that has it, or after [media.StandbyHold]. x is
// immutable from here on.
func (w *Writer) PublishIndex(x *hls.Index) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	if x == nil || x.Open == nil { // else it is of one more part of the same segment
		w.live.growing.Store(nil)
	}
	if x != nil && !w.pulled { // whoever becomes the standby gets the packets of the open segment
		w.floor = x.Cut
	}
	w.live.publishIndex(x)
}

// Grow tells what there is by now of a segment that is in no index yet, in one format:
// its first chunks, of which the last may grow; nil: nothing any more. Other nodes
// that need it get it ahead of its end, the standby at once; it is not shown to
// readers. The bytes must not be changed from here on.
func (w *Writer) Grow(n hls.Name, chunks [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.gone:
	case len(chunks) == 0:
		w.live.growing.Store(nil)
	default:
		w.live.growing.Store(&piece{name: n, chunks: chunks})
		if g := w.live.gate.Load(); g != nil {
			g.poke()
		}
	}
}

// SetState tells readers whether a publisher is connected.
func (w *Writer) SetState(s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gone {
		w.live.state.Store(int32(s))
	}
}

// End ends the life: readers drain it to its head, and the feed has none until
// the next Publish. The writer must not be used after it.
func (w *Writer) End() {
	w.mu.Lock()
	gone := w.gone
	w.gone = true
	if !gone {
		w.live.ungate(false) // the last index goes before the end
		w.live.state.Store(int32(StateEnded))
	}
	w.mu.Unlock()
	if !gone {
		w.feed.end(w)
	}
}

// keepFrom keeps the packets from a time of the stream on, beyond Keep, within MaxBytes.
func (w *Writer) keepFrom(dts media.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.floor = dts
}

// abandon ends the life on this node without an end of the stream: readers at other
// nodes are not told one.
func (w *Writer) abandon() {
	w.mu.Lock()
	if !w.gone {
		w.live.lost.Store(true)
	}
	w.mu.Unlock()
	w.End()
}

// raise notes that the life goes on in another epoch.
func (w *Writer) raise(epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gone && epoch > w.live.Epoch() {
		w.live.epoch.Store(epoch)
	}
}

// Leave gives the stream up without an end: another node goes on with it, and a
// pull takes it from there for the readers of this node. Readers at other nodes
// are told by the placement. The writer must not be used after it.
func (w *Writer) Leave() { w.feed.leave(w) }

// configure makes c the configs in force at the packet next. In front of the
// first packet they are taken as known; later, what differs goes into the log,
// because readers are there who need it in line.
func (w *Writer) configure(c *relaywire.Configs, next *media.Packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	changed := w.differing(c)
	if !w.started {
		for _, p := range changed {
			w.noteConfig(&p)
		}
		return
	}
	for i, p := range changed {
		p.ID = w.last
		if id := before(next.ID, uint32(len(changed)-i)); id.Compare(w.last) > 0 {
			p.ID = id
		}
		p.Run, p.DTS, p.Ingested = next.Run, next.DTS, next.Ingested
		if p.ID.Epoch != w.last.Epoch || p.ID.Group != w.last.Group {
			w.newGroup = true
		}
		w.last = p.ID
		w.writeAt(&p, p.DTS+w.live.Ahead(next.ID.Epoch))
	}
}

// before is an identity n before id, in the group before where id's has no room.
func before(id media.PacketID, n uint32) media.PacketID {
	switch {
	case id.Index >= n:
		id.Index -= n
	case id.Group > 0:
		id.Group, id.Index = id.Group-1, lastIndex-n
	default:
		return media.PacketID{}
	}
	return id
}

// differing lists what of c is not in force, as packets.
func (w *Writer) differing(c *relaywire.Configs) (list []media.Packet) {
	known := w.live.Configs()
	if known == nil {
		known = &Configs{}
	}
	if len(c.Metadata) > 0 && !bytes.Equal(c.Metadata, known.Metadata) {
		list = append(list, media.Packet{Type: media.TypeData, Kind: media.KindData, Body: c.Metadata})
	}
	for _, h := range c.Headers {
		if k := known.Header(h.Type, h.Track); k == nil || !bytes.Equal(k.Body, h.Body) {
			list = append(list, media.Packet{Type: h.Type, Kind: media.KindConfig, Track: h.Track, Codec: h.Codec, Body: h.Body})
		}
	}
	return list
}

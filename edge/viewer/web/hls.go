package web

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/hls"
)

// waiting is a request that is parked until the stream has what it asks for: an
// index for a playlist, or the segment. It holds the stream until it is
// answered, or given up.
type waiting struct {
	asking

	stream       *hlsStream
	multivariant bool

	segment    bool
	epoch, msn uint64 // of the segment
}

// decidePlaylist answers with a playlist, or waits until there is one.
func (s *Server) decidePlaylist(q asking, t viewer.Target, multivariant bool, now time.Duration) reply {
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), q.headOnly())
	}
	w := &waiting{asking: q, stream: stream, multivariant: multivariant}
	r, ok := w.look(now)
	if !ok {
		r.wait = w
	}
	r.sweep = fresh
	return r
}

// decideSegment answers with a segment that the index has. One that another node
// may have listed already, while its bytes are on the way here, is waited for.
func (s *Server) decideSegment(q asking, t viewer.Target, name string, now time.Duration) reply {
	epoch, msn, ok := hls.ParseSegmentName(name)
	if !ok {
		return notFound(q, "no such segment")
	}
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), q.headOnly())
	}
	w := &waiting{asking: q, stream: stream, segment: true, epoch: epoch, msn: msn}
	r := reply{wait: w}
	if !stream.coming(epoch, msn) {
		r = w.found(now)
	}
	r.sweep = fresh
	return r
}

// look answers if what the request waits for has come.
func (w *waiting) look(now time.Duration) (r reply, ok bool) {
	x := w.stream.playlistIndex()
	switch {
	case x == nil:
		return reply{}, false
	case !w.segment:
		return w.playlist(x, now), true
	case w.stream.coming(w.epoch, w.msn):
		return reply{}, false
	}
	return w.found(now), true
}

// refuse answers a request that can't wait: too many do.
func (w *waiting) refuse(now time.Duration) reply {
	if w.segment {
		return w.found(now)
	}
	w.stream.release(now)
	return unavailable("too many requests wait for streams to start", w.headOnly())
}

// giveUp answers a request whose time is over.
func (w *waiting) giveUp(now time.Duration) reply {
	w.stream.release(now)
	if w.segment {
		return notFound(w.asking, "no such segment")
	}
	return unavailable("the stream has not started", w.headOnly())
}

// playlist answers with a playlist of x and ends the request's hold on the stream.
func (w *waiting) playlist(x *hls.Index, now time.Duration) reply {
	suffix := w.suffix()
	var b []byte
	switch {
	case suffix == "" && w.multivariant:
		b = w.stream.playlists(x).multivariant
	case suffix == "":
		b = w.stream.playlists(x).media
	case w.multivariant:
		b = x.AppendMultivariant(nil, w.stream.key.Stream, suffix)
	default:
		b = x.AppendMedia(nil, suffix)
	}
	r := reply{hls: true}
	if !w.multivariant {
		r.viewer = w.stream.seen(w.from, now)
	}
	w.stream.release(now)
	r.header = header{status: http.StatusOK, typ: typePlaylist, cache: cachePlaylist, etag: x.ETag()}
	if matches(w.Header, r.header.etag) {
		r.header.status, r.header.length, r.header.typ = http.StatusNotModified, -1, ""
		return r
	}
	r.header.length = int64(len(b))
	if !w.headOnly() {
		r.body = newBody([][]byte{b}, byteRange{0, r.header.length})
	}
	return r
}

// found answers with a segment, if it is there, and ends the request's hold on
// the stream.
func (w *waiting) found(now time.Duration) reply {
	seg := w.stream.segment(w.epoch, w.msn)
	session := w.stream.viewer(w.from)
	w.stream.release(now)
	if seg == nil {
		return notFound(w.asking, "no such segment, or not any more")
	}
	etag := `"` + strconv.FormatUint(w.epoch, 10) + "-" + strconv.FormatUint(w.msn, 10) + `"`
	h := header{status: http.StatusOK, typ: typeSegment, cache: cacheImmutable, etag: etag}
	r := whole(w.asking, h, seg.Chunks, int64(seg.Size))
	r.hls, r.viewer = true, session
	return r
}

// count adds to the bytes sent of an answer by HLS, if it counts.
func (s *Server) count(counts bool, v *session, n int) {
	if !counts {
		return
	}
	s.hlsSent.Add(int64(n))
	if v != nil {
		v.sent.Add(int64(n))
	}
}

// park lets a request wait; false: too many do.
func (c *conn) park(w *waiting) bool {
	l := c.loop
	if len(l.parked) >= media.MaxParkedRequests || l.server.gate.Draining() {
		return false
	}
	c.wait, c.state = w, stateParked
	l.parked = append(l.parked, c)
	l.loop.Wake()
	c.rc.SetTimer(media.ParkTimeout)
	return true
}

// giveUp answers a parked request whose time is over.
func (c *conn) giveUp() {
	w := c.wait
	c.loop.unpark(c)
	c.follow(w.giveUp(c.loop.loop.Now()))
	c.resume()
}

// unpark takes a connection off the list of those that wait.
func (l *Loop) unpark(c *conn) {
	if i := slices.Index(l.parked, c); i >= 0 {
		l.unparkAt(i)
	}
	c.wait = nil
}

func (l *Loop) unparkAt(i int) {
	last := len(l.parked) - 1
	l.parked[i] = l.parked[last]
	l.parked[last] = nil
	l.parked = l.parked[:last]
}

// wakeParked answers the requests whose playlist or segment has come.
func (l *Loop) wakeParked() {
	for i := len(l.parked); i > 0 && !l.cutShort(); i-- { // the last takes the place of one that goes
		if i > len(l.parked) {
			continue
		}
		c := l.parked[i-1]
		r, ok := c.wait.look(l.loop.Now())
		if !ok {
			continue
		}
		l.unparkAt(i - 1)
		c.wait = nil
		c.follow(r)
		c.resume()
	}
}

// onSweep lets idle streams go, for as long as there are any.
func (l *Loop) onSweep() {
	if l.server.streams.sweep(l.loop.Now()) {
		l.sweep.Set(time.Second)
	}
}

// touched starts the sweeping that a held stream needs.
func (l *Loop) touched() {
	if !l.sweep.Active() {
		l.sweep.Set(time.Second)
	}
}

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
// index for a playlist, or the segment.
type waiting struct {
	stream       *hlsStream
	request      *request
	multivariant bool
	headOnly     bool

	segment    bool
	epoch, msn uint64 // of the segment
}

// servePlaylist answers with a playlist, or parks the request until there is one.
func (c *conn) servePlaylist(r *request, t viewer.Target, multivariant bool) {
	l := c.loop
	headOnly := r.Method == http.MethodHead
	s, err := l.server.streams.open(t.Key)
	if err != nil {
		c.unavailable(err.Error(), headOnly)
		return
	}
	l.touched()
	w := waiting{stream: s, request: r, multivariant: multivariant, headOnly: headOnly}
	if x := s.playlistIndex(); x != nil {
		c.playlist(&w, x)
		return
	}
	if !c.park(&w) {
		s.release(l.loop.Now())
		c.unavailable("too many requests wait for streams to start", headOnly)
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
	if w.segment {
		c.notFound(w.request, "no such segment")
	} else {
		c.unavailable("the stream has not started", w.headOnly)
	}
	c.resume()
}

// playlist answers with a playlist of x and ends the request's hold on the stream.
func (c *conn) playlist(w *waiting, x *hls.Index) {
	now := c.loop.loop.Now()
	suffix := w.request.suffix()
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
	if !w.multivariant {
		c.viewer = w.stream.seen(c.rc.Remote().Addr(), now)
	}
	w.stream.release(now)
	h := header{status: http.StatusOK, typ: typePlaylist, cache: cachePlaylist, etag: x.ETag()}
	c.hls = true
	if matches(w.request.Header, h.etag) {
		h.status, h.length, h.typ = http.StatusNotModified, -1, ""
		c.answer(h, body{})
		return
	}
	h.length = int64(len(b))
	if w.headOnly {
		c.answer(h, body{})
		return
	}
	c.answer(h, newBody([][]byte{b}, byteRange{0, h.length}))
}

// unpark takes a connection off the list of those that wait; its stream is
// released.
func (l *Loop) unpark(c *conn) {
	if i := slices.Index(l.parked, c); i >= 0 {
		last := len(l.parked) - 1
		l.parked[i] = l.parked[last]
		l.parked[last] = nil
		l.parked = l.parked[:last]
	}
	c.wait.stream.release(l.loop.Now())
	c.wait = nil
}

// wakeParked answers the requests whose playlist or segment has come.
func (l *Loop) wakeParked() {
	for i := len(l.parked) - 1; i >= 0 && !l.cutShort(); i-- {
		if i >= len(l.parked) {
			continue
		}
		c := l.parked[i]
		x := c.wait.stream.playlistIndex()
		if x == nil || c.wait.segment && c.wait.stream.coming(c.wait.epoch, c.wait.msn) {
			continue
		}
		w := *c.wait
		l.parked[i] = l.parked[len(l.parked)-1]
		l.parked[len(l.parked)-1] = nil
		l.parked = l.parked[:len(l.parked)-1]
		c.wait = nil
		if w.segment {
			c.segment(&w)
		} else {
			c.playlist(&w, x)
		}
		c.resume()
	}
}

// serveSegment answers with a segment that the index has. One that another node
// may have listed already, while its bytes are on the way here, is waited for.
func (c *conn) serveSegment(r *request, t viewer.Target, name string) {
	l := c.loop
	s, err := l.server.streams.open(t.Key)
	if err != nil {
		c.unavailable(err.Error(), r.Method == http.MethodHead)
		return
	}
	l.touched()
	epoch, msn, ok := hls.ParseSegmentName(name)
	if !ok {
		s.release(l.loop.Now())
		c.notFound(r, "no such segment")
		return
	}
	w := waiting{stream: s, request: r, segment: true, epoch: epoch, msn: msn}
	if !s.coming(epoch, msn) || !c.park(&w) {
		c.segment(&w)
	}
}

// segment answers with a segment, if it is there, and ends the request's hold
// on the stream.
func (c *conn) segment(w *waiting) {
	seg := w.stream.segment(w.epoch, w.msn)
	c.viewer = w.stream.viewer(c.rc.Remote().Addr())
	w.stream.release(c.loop.loop.Now())
	if seg == nil {
		c.notFound(w.request, "no such segment, or not any more")
		return
	}
	etag := `"` + strconv.FormatUint(w.epoch, 10) + "-" + strconv.FormatUint(w.msn, 10) + `"`
	h := header{status: http.StatusOK, typ: typeSegment, cache: cacheImmutable, etag: etag}
	c.hls = true
	c.serveBytes(w.request, h, seg.Chunks, int64(seg.Size))
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

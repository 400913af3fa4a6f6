package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tmms/edge/viewer"
	"tmms/media/hls"
)

// waiting is a request that is parked until the stream has what it asks for: an
// index for a playlist, or the segment. It holds the stream until it is
// answered, or given up.
type waiting struct {
	wish

	from   netip.Addr
	stream *hlsStream

	suffix       string // of the playlist
	multivariant bool

	file bool // not a playlist
	bare bool // see asking
	name hls.Name
}

// keep makes the request one that can wait for long: it holds nothing of its head.
func (w *waiting) keep() *waiting {
	w.wish = w.wish.clone()
	return w
}

// decidePlaylist answers with a playlist, or waits until there is one.
func (s *Server) decidePlaylist(q asking, t viewer.Target, multivariant bool, now time.Duration) reply {
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), q.headOnly())
	}
	w := &waiting{wish: q.wish(), from: q.from, stream: stream, suffix: q.suffix(), multivariant: multivariant}
	r, ok := w.look(now)
	if !ok {
		r.wait = w.keep()
	}
	r.sweep = fresh
	return r
}

// decideSegment answers with a segment that the index has. One that another node
// may have listed already, while its bytes are on the way here, is waited for.
func (s *Server) decideSegment(q asking, t viewer.Target, name string, now time.Duration) reply {
	file, ok := hls.ParseName(name)
	if !ok || file.Kind != hls.NameTS {
		return notFound(q, "no such segment")
	}
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), q.headOnly())
	}
	w := &waiting{wish: q.wish(), from: q.from, stream: stream, file: true, bare: q.bare, name: file}
	var r reply
	if stream.coming(file) {
		r.wait = w.keep()
	} else {
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
	case !w.file:
		return w.playlist(x, now), true
	case w.stream.coming(w.name):
		return reply{}, false
	}
	return w.found(now), true
}

// refuse answers a request that can't wait: too many do.
func (w *waiting) refuse(now time.Duration) reply {
	if w.file {
		return w.found(now)
	}
	w.stream.release(now)
	return unavailable("too many requests wait for streams to start", w.headOnly)
}

// giveUp answers a request whose time is over.
func (w *waiting) giveUp(now time.Duration) reply {
	w.stream.release(now)
	if w.file {
		return absent("no such segment", w.headOnly)
	}
	return unavailable("the stream has not started", w.headOnly)
}

// playlist answers with a playlist of x and ends the request's hold on the stream.
func (w *waiting) playlist(x *hls.Index, now time.Duration) reply {
	var b []byte
	switch {
	case w.suffix == "" && w.multivariant:
		b = w.stream.playlists(x).multivariant
	case w.suffix == "":
		b = w.stream.playlists(x).media
	case w.multivariant:
		b = x.AppendMultivariant(nil, w.stream.key.Stream, w.suffix)
	default:
		b = x.AppendMedia(nil, w.suffix)
	}
	r := reply{hls: true}
	if !w.multivariant {
		r.viewer = w.stream.seen(w.from, now)
	}
	w.stream.release(now)
	r.header = header{status: http.StatusOK, typ: typePlaylist, cache: cachePlaylist, etag: x.ListingETag()}
	if matches(w.match, r.header.etag) {
		r.header.status, r.header.length, r.header.typ = http.StatusNotModified, -1, ""
		return r
	}
	r.header.length = int64(len(b))
	if !w.headOnly {
		r.body = newBody([][]byte{b}, byteRange{0, r.header.length})
	}
	return r
}

// found answers with a segment, if it is there, and ends the request's hold on
// the stream.
func (w *waiting) found(now time.Duration) reply {
	defer w.stream.release(now)
	m := w.stream.find(w.name)
	if m == nil {
		return absent("no such segment, or not any more", w.headOnly)
	}
	etag := `"` + strconv.FormatUint(w.name.Epoch, 10) + "-" + strconv.FormatUint(w.name.MSN, 10) + `"`
	h := header{status: http.StatusOK, typ: typeSegment, cache: cacheImmutable, etag: etag}
	r := whole(w.wish, h, m.Chunks, int64(m.Size))
	r.hls, r.viewer = true, w.stream.viewer(w.from)
	if w.bare && r.body.left > 0 {
		r.file = w.stream.file(w.name, m)
	}
	return r
}

// count adds to the bytes sent of an answer.
func (s *Server) count(ofHLS bool, v *session, n int) {
	if !ofHLS {
		return
	}
	s.hlsSent.Add(int64(n))
	if v != nil {
		v.sent.Add(int64(n))
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

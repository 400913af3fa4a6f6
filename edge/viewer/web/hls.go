package web

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"tmms/edge/viewer"
	"tmms/media"
	"tmms/media/hls"
)

// waiting is a request that is parked until the stream has what it asks for: an
// index for a playlist, the part or segment that the playlist has to have, or the
// file. It holds the stream until it is answered, or given up.
type waiting struct {
	wish

	from   netip.Addr
	stream *hlsStream
	suffix string   // of the playlist
	name   hls.Name // of the file; of a playlist that blocks: MSN is what it has to have
	part   int32    // of that segment, or wholeSegment
	what   want     // a playlist or a file
	bare   bool     // see asking
	blocks bool     // see directives
	skip   bool
}

// keep makes the request one that can wait for long: it holds nothing of its head.
func (w *waiting) keep() *waiting {
	w.wish = w.wish.clone()
	return w
}

// decidePlaylist answers with a playlist, or waits until there is one.
func (s *Server) decidePlaylist(q asking, t viewer.Target, what want, now time.Duration) reply {
	w := &waiting{wish: q.wish(), from: q.from, suffix: q.suffix(), what: what}
	if what == wantLow {
		if err := w.direct(q.query); err != nil {
			return invalid(err.Error(), w.headOnly)
		}
	}
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), w.headOnly)
	}
	w.stream = stream
	r, ok := w.look(now)
	if !ok {
		r.wait = w.keep()
	}
	r.sweep = fresh
	return r
}

// decideFile answers with a file that the index has. One that another node may
// have listed already, while its bytes are on the way here, is waited for, and so
// is the next part.
func (s *Server) decideFile(q asking, t viewer.Target, name string, now time.Duration) reply {
	file, ok := hls.ParseName(name)
	if !ok {
		return notFound(q, "no such segment")
	}
	stream, fresh, err := s.streams.open(t.Key)
	if err != nil {
		return unavailable(err.Error(), q.headOnly())
	}
	w := &waiting{wish: q.wish(), from: q.from, stream: stream, what: wantFile, bare: q.bare, name: file}
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
	case w.what == wantLow:
		return w.lowLatency(x, now)
	case w.what != wantFile:
		return w.playlist(x, now), true
	case w.stream.coming(w.name):
		return reply{}, false
	}
	return w.found(now), true
}

// lowLatency answers with the low-latency playlist, if x has what it has to have.
func (w *waiting) lowLatency(x *hls.Index, now time.Duration) (r reply, ok bool) {
	if x.PartTarget == 0 {
		w.stream.release(now)
		return absent("the stream has no low-latency playlist", w.headOnly), true
	}
	if !w.blocks {
		return w.playlist(x, now), true
	}
	reached, err := x.Reached(w.name.MSN, int(w.part))
	switch {
	case err != nil:
		w.stream.release(now)
		return invalid(err.Error(), w.headOnly), true
	case !reached:
		return reply{}, false
	}
	return w.playlist(x, now), true
}

// blockTargets is how many target durations a request waits for what comes next
// (draft-pantos-hls-rfc8216bis section 6.2.5.2).
const blockTargets = 3

// patience is how long the request may wait.
func (w *waiting) patience() time.Duration {
	x := w.stream.playlistIndex()
	if x == nil || !w.hasty() {
		return media.ParkTimeout
	}
	return min(blockTargets*x.Target, media.MaxBlockTimeout)
}

// hasty tells that milliseconds count: a player waits for the next part, or for
// the playlist with it.
func (w *waiting) hasty() bool { return w.blocks || w.what == wantFile && w.name.Kind == hls.NamePart }

// refuse answers a request that can't wait: too many do.
func (w *waiting) refuse(now time.Duration) reply {
	if w.what == wantFile {
		return w.found(now)
	}
	w.stream.release(now)
	return unavailable("too many requests wait", w.headOnly)
}

// giveUp answers a request whose time is over.
func (w *waiting) giveUp(now time.Duration) reply {
	started := w.stream.playlistIndex() != nil
	w.stream.release(now)
	switch {
	case w.what == wantFile:
		return absent("no such segment", w.headOnly)
	case started:
		return unavailable("the stream does not go on", w.headOnly)
	}
	return unavailable("the stream has not started", w.headOnly)
}

// playlist answers with a playlist of x and ends the request's hold on the stream.
func (w *waiting) playlist(x *hls.Index, now time.Duration) reply {
	b := w.stream.render(x, w.list(), w.suffix)
	r := reply{hls: true}
	if w.what == wantMultivariant {
		w.stream.release(now)
	} else {
		r.viewer = w.stream.played(w.from, now)
	}
	r.header = header{status: http.StatusOK, typ: typePlaylist, cache: cachePlaylist, etag: w.list().tag(x)}
	switch {
	case x.Held: // the stream goes on under another owner, whose playlist is to be asked for
		r.header.cache = cacheNever
	case w.blocks:
		r.header.cache = cacheBlocked(x)
	}
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

// blockedTargets is for how many target durations the answer to a request that
// blocks may be kept (draft-pantos-hls-rfc8216bis section 6.2.5.1): nobody asks
// for the same part once more who wants a newer one.
const blockedTargets = 6

func cacheBlocked(x *hls.Index) string {
	return "max-age=" + strconv.FormatInt(int64(blockedTargets*x.Target/time.Second), 10)
}

// found answers with a file, if it is there, and ends the request's hold on the
// stream.
func (w *waiting) found(now time.Duration) reply {
	m := w.stream.find(w.name)
	if m == nil {
		w.stream.release(now)
		return absent("no such segment, or not any more", w.headOnly)
	}
	h := header{status: http.StatusOK, typ: typeSegment, cache: cacheImmutable, etag: fileTag(w.name)}
	if w.name.Kind != hls.NameTS {
		h.typ = typeMP4
	}
	r := whole(w.wish, h, m.Chunks, int64(m.Size))
	r.hls = true
	if w.bare && r.body.left > 0 {
		r.file = w.stream.file(w.name, m)
	}
	r.viewer = w.stream.fetched(w.from, now)
	return r
}

// fileTag is the entity tag of a file: what tells it from all others.
func fileTag(n hls.Name) string {
	if n.Kind != hls.NameTS {
		return `"` + n.String() + `"`
	}
	return `"` + strconv.FormatUint(n.Epoch, 10) + "-" + strconv.FormatUint(n.MSN, 10) + `"`
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

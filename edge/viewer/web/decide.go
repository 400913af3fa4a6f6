package web

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"tmms/cluster/state"
	"tmms/edge/fanout"
	"tmms/edge/viewer"
	"tmms/media"
)

// asking is a request, and who asks.
type asking struct {
	*request

	from netip.Addr
	bare bool // the answer goes into a socket as it is, so that it can be sent from a file
}

// headOnly tells that the answer goes without its body.
func (q asking) headOnly() bool { return q.Method == http.MethodHead }

// wish is what the form of an answer depends on: what has to be kept of a request
// that waits, in place of its whole head.
type wish struct {
	headOnly bool
	match    string // If-None-Match
	ranges   string // Range
	ifRange  string // If-Range
}

func (q asking) wish() wish {
	return wish{
		headOnly: q.headOnly(), match: strings.Join(q.Header.Values("If-None-Match"), ","),
		ranges: q.Header.Get("Range"), ifRange: q.Header.Get("If-Range"),
	}
}

// clone gives a wish that does not hold the head's memory.
func (w wish) clone() wish {
	w.match, w.ranges, w.ifRange = strings.Clone(w.match), strings.Clone(w.ranges), strings.Clone(w.ifRange)
	return w
}

// reply is what is decided about a request, whatever it came by: an answer, or
// to wait for one, or to play.
type reply struct {
	kind   Kind // of the request
	header header
	body   body
	file   *segmentFile // the segment that the body is of, held; nil: it has none
	hls    bool         // the bytes are those of a playlist or a segment,
	viewer *session     // of this session; nil: of none that is known
	last   bool         // nothing may follow on the connection

	wait  *waiting // there is no answer yet
	play  *playing // a stream as it comes
	sweep bool     // a stream is held that was not: streams have to be swept from now on
}

// playing is a request for a live stream.
type playing struct {
	asking

	target viewer.Target
	what   want
}

// decide answers a request at the loops' time now.
func (s *Server) decide(q asking, now time.Duration) (r reply) {
	switch q.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		return reply{header: header{status: http.StatusNoContent, cache: cacheNever, length: -1, extra: preflight}}
	default:
		h := header{status: http.StatusMethodNotAllowed, cache: cacheNever, extra: "Allow: GET, HEAD, OPTIONS\r\n"}
		r = text(h, "only GET, HEAD and OPTIONS", false)
		r.last = true // what follows may be its body
		return r
	}
	if near, ok := s.decideNear(q); ok {
		near.kind = KindNearest
		return near
	}
	to := parseRoute(q.URL.Path, func(path string) bool { return s.assets[path] != nil })
	switch to.want {
	case wantNothing:
		r = notFound(q, "no such page; streams are /APP/STREAM.flv, /APP/STREAM.ts and /APP/STREAM.m3u8")
	case wantAsset:
		r = assetReply(q, s.assets[to.asset])
	default:
		r = s.decideStream(q, to, now)
	}
	r.kind = to.kind()
	return r
}

// preflight answers a CORS preflight request.
const preflight = "Allow: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Headers: *, Authorization\r\n" +
	"Access-Control-Max-Age: 86400\r\n"

// pagePolicy lets the page run its own scripts only, and fetch streams from anywhere.
const pagePolicy = "Content-Security-Policy: default-src 'self'; connect-src *; media-src * blob:; " +
	"worker-src 'self' blob:; frame-ancestors *\r\n"

// decideStream finds the stream's app and lets its protocol answer.
func (s *Server) decideStream(q asking, to route, now time.Duration) reply {
	t, err := viewer.Find(s.apps, q.Host, q.override(), to.app, to.stream)
	if err != nil {
		return notTarget(q, err)
	}
	switch {
	case to.want.live() && !t.App.FLV:
		return notFound(q, to.want.name()+" is switched off for app "+t.App.Name)
	case !to.want.live() && !t.App.HLS.Enabled:
		return notFound(q, "HLS is switched off for app "+t.App.Name)
	}
	if r, ok := s.divert(q, t, to.want); ok {
		return r
	}
	switch {
	case to.want.live():
		return reply{play: &playing{asking: q, target: t, what: to.want}}
	case to.want == wantFile:
		return s.decideFile(q, t, to.name, now)
	default:
		return s.decidePlaylist(q, t, to.want, now)
	}
}

// notTarget answers what viewer.Find has not found.
func notTarget(q asking, err error) reply {
	switch {
	case errors.Is(err, state.ErrUnknownDomain), errors.Is(err, state.ErrUnknownApp):
		return notFound(q, err.Error())
	case errors.Is(err, media.ErrName):
		return invalid(err.Error(), q.headOnly())
	}
	return unavailable(err.Error(), q.headOnly())
}

// headLive tells whether the stream is live, without a player.
func (s *Server) headLive(p *playing) reply {
	if !s.streams.live(p.target.Key) {
		return notFound(p.asking, "stream is not live")
	}
	return reply{header: p.what.header()}
}

// header is the head of the answer that is the stream.
func (w want) header() header {
	h := header{status: http.StatusOK, typ: typeFLV, cache: cacheNever, length: -1}
	if w == wantTS {
		h.typ = typeSegment
	}
	return h
}

// format is that of the stream's bytes; ws: over WebSocket.
func (w want) format(ws bool) fanout.Format {
	switch {
	case w == wantTS:
		return fanout.TS
	case ws:
		return fanout.WebSocket
	}
	return fanout.FLV
}

// text is a short text, which is for people.
func text(h header, text string, headOnly bool) reply {
	h.typ, h.length = typeText, int64(len(text)+1)
	r := reply{header: h}
	if !headOnly {
		r.body = newBody([][]byte{[]byte(text + "\n")}, byteRange{0, h.length})
	}
	return r
}

func notFound(q asking, why string) reply { return absent(why, q.headOnly()) }

func absent(why string, headOnly bool) reply {
	return text(header{status: http.StatusNotFound, cache: cacheNever}, why, headOnly)
}

// invalid answers a request for what can't be.
func invalid(why string, headOnly bool) reply {
	return text(header{status: http.StatusBadRequest, cache: cacheNever}, why, headOnly)
}

// unavailable asks the client to come again soon.
func unavailable(why string, headOnly bool) reply {
	const seconds = 1
	return text(header{status: http.StatusServiceUnavailable, cache: cacheNever, retryAfter: seconds}, why, headOnly)
}

// notPublished ends the waiting for a publisher.
func notPublished() reply {
	return text(header{status: http.StatusNotFound, cache: cacheNever}, "nobody publishes this stream", false)
}

// notCarried answers who asks for a stream in a format that none of its tracks fits.
func notCarried() reply {
	h := header{status: http.StatusUnsupportedMediaType, cache: cacheNever}
	return text(h, fanout.ErrNotCarried.Error()+"; play /APP/STREAM.flv", false)
}

// refused answers what can't be understood.
func refused(err error) reply {
	h := header{status: http.StatusBadRequest, cache: cacheNever}
	why := "bad request"
	if r, ok := errors.AsType[*refusal](err); ok {
		h.status, why = r.status, r.reason
	}
	if h.status == http.StatusUpgradeRequired {
		h.extra = "Sec-WebSocket-Version: 13\r\n"
	}
	r := text(h, why, false)
	r.last = true
	return r
}

func assetReply(q asking, a *asset) reply {
	h := header{status: http.StatusOK, typ: a.typ, cache: cachePage, etag: a.etag, extra: pagePolicy}
	return whole(q.wish(), h, [][]byte{a.data}, int64(len(a.data)))
}

// whole answers with a body that is all there: conditionally, in part or whole.
func whole(w wish, h header, chunks [][]byte, size int64) reply {
	h.ranges = true
	if matches(w.match, h.etag) {
		h.status, h.length, h.typ = http.StatusNotModified, -1, ""
		return reply{header: h}
	}
	part := byteRange{0, size}
	if w.ifRange == "" || w.ifRange == h.etag {
		p, all, ok := parseRange(w.ranges, size)
		if !ok {
			h.status, h.rang, h.cache = http.StatusRequestedRangeNotSatisfiable, unsatisfied(size), cacheNever
			return text(h, "no such range", w.headOnly)
		}
		if part = p; !all {
			h.status, h.rang = http.StatusPartialContent, part.contentRange(size)
		}
	}
	h.length = part.to - part.from
	if w.headOnly {
		return reply{header: h}
	}
	return reply{header: h, body: newBody(chunks, part)}
}

package web

import (
	"errors"
	"net/http"
	"strings"

	"tmms/cluster/state"
	"tmms/edge/viewer"
	"tmms/media"
)

// what a path asks for.
type want uint8

const (
	wantNothing want = iota
	wantAsset
	wantFLV
	wantMultivariant
	wantMedia
	wantSegment
)

// route is a path taken apart.
type route struct {
	want   want
	asset  string // path of the file
	app    string
	stream string
	name   string // of the segment
}

// parseRoute takes a path apart; has tells which paths are files.
func parseRoute(path string, has func(string) bool) route {
	if has(path) {
		return route{want: wantAsset, asset: path}
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch len(parts) {
	case 2:
		if stream, ok := strings.CutSuffix(parts[1], ".flv"); ok {
			return route{want: wantFLV, app: parts[0], stream: stream}
		}
		if stream, ok := strings.CutSuffix(parts[1], ".m3u8"); ok {
			return route{want: wantMultivariant, app: parts[0], stream: stream}
		}
	case 3:
		switch {
		case parts[2] == "live.m3u8":
			return route{want: wantMedia, app: parts[0], stream: parts[1]}
		case strings.HasSuffix(parts[2], ".ts"):
			return route{want: wantSegment, app: parts[0], stream: parts[1], name: parts[2]}
		}
	}
	if parts[0] == "watch" && len(parts) <= 4 {
		return route{want: wantAsset, asset: pathPage}
	}
	return route{}
}

// serve answers one request.
func (c *conn) serve(r *request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		c.answer(header{status: http.StatusNoContent, cache: cacheNever, length: -1, extra: preflight}, body{})
		return
	default:
		h := header{status: http.StatusMethodNotAllowed, cache: cacheNever, extra: "Allow: GET, HEAD, OPTIONS\r\n"}
		c.last = true // what follows may be its body
		c.text(h, "only GET, HEAD and OPTIONS", false)
		return
	}
	s := c.loop.server
	to := parseRoute(r.URL.Path, func(path string) bool { return s.assets[path] != nil })
	switch to.want {
	case wantNothing:
		c.notFound(r, "no such page; streams are /APP/STREAM.flv and /APP/STREAM.m3u8")
	case wantAsset:
		c.serveAsset(r, s.assets[to.asset])
	default:
		c.serveStream(r, to)
	}
}

// preflight answers a CORS preflight request.
const preflight = "Allow: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Headers: *, Authorization\r\n" +
	"Access-Control-Max-Age: 86400\r\n"

// pagePolicy lets the page run its own scripts only, and fetch streams from anywhere.
const pagePolicy = "Content-Security-Policy: default-src 'self'; connect-src *; media-src * blob:; " +
	"worker-src 'self' blob:; frame-ancestors *\r\n"

func (c *conn) notFound(r *request, why string) {
	c.text(header{status: http.StatusNotFound, cache: cacheNever}, why, r.Method == http.MethodHead)
}

func (c *conn) serveAsset(r *request, a *asset) {
	h := header{status: http.StatusOK, typ: a.typ, cache: cachePage, etag: a.etag, extra: pagePolicy}
	c.serveBytes(r, h, [][]byte{a.data}, int64(len(a.data)))
}

// serveBytes answers with a body that is all there: conditionally, in part or whole.
func (c *conn) serveBytes(r *request, h header, chunks [][]byte, size int64) {
	h.ranges = true
	if matches(r.Header, h.etag) {
		h.status, h.length, h.typ = http.StatusNotModified, -1, ""
		c.answer(h, body{})
		return
	}
	part := byteRange{0, size}
	if cond := r.Header.Get("If-Range"); cond == "" || cond == h.etag {
		p, whole, ok := parseRange(r.Header, size)
		if !ok {
			h.status, h.rang, h.cache = http.StatusRequestedRangeNotSatisfiable, unsatisfied(size), cacheNever
			c.text(h, "no such range", r.Method == http.MethodHead)
			return
		}
		if part = p; !whole {
			h.status, h.rang = http.StatusPartialContent, part.contentRange(size)
		}
	}
	h.length = part.to - part.from
	if r.Method == http.MethodHead {
		c.answer(h, body{})
		return
	}
	c.answer(h, newBody(chunks, part))
}

// serveStream finds the stream's app and lets its protocol answer.
func (c *conn) serveStream(r *request, to route) {
	t, err := viewer.Find(c.loop.server.apps, r.Host, r.override(), to.app, to.stream)
	switch {
	case errors.Is(err, state.ErrUnknownDomain), errors.Is(err, state.ErrUnknownApp):
		c.notFound(r, err.Error())
		return
	case errors.Is(err, media.ErrName):
		h := header{status: http.StatusBadRequest, cache: cacheNever}
		c.text(h, err.Error(), r.Method == http.MethodHead)
		return
	case err != nil:
		c.unavailable(err.Error(), r.Method == http.MethodHead)
		return
	}
	switch {
	case to.want == wantFLV && !t.App.FLV:
		c.notFound(r, "FLV is switched off for app "+t.App.Name)
	case to.want == wantFLV:
		c.serveFLV(r, t)
	case !t.App.HLS.Enabled:
		c.notFound(r, "HLS is switched off for app "+t.App.Name)
	case to.want == wantSegment:
		c.serveSegment(r, t, to.name)
	default:
		c.servePlaylist(r, t, to.want == wantMultivariant)
	}
}

package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Cache-Control values.
const (
	cacheNever     = "no-store"
	cachePlaylist  = "max-age=1"
	cachePage      = "no-cache"
	cacheImmutable = "public, max-age=31536000, immutable"
)

// Content types.
const (
	typePlaylist = "application/vnd.apple.mpegurl"
	typeSegment  = "video/mp2t"
	typeMP4      = "video/mp4"
	typeFLV      = "video/x-flv"
	typeJSON     = "application/json"
	typeText     = "text/plain; charset=utf-8"
)

// header is the head of an answer. Zero values are left out.
type header struct {
	status     int
	typ        string
	cache      string
	etag       string
	length     int64 // Content-Length; -1: none
	rang       string
	retryAfter int // seconds
	ranges     bool
	close      bool
	altSvc     string
	extra      string // whole lines with their CRLF
}

// append renders the head. now is the loop's date line.
func (h *header) append(b []byte, date []byte) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(h.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(h.status)...)
	b = append(b, "\r\nServer: "+serverName+"\r\nDate: "...)
	b = append(b, date...)
	b = append(b, "\r\n"...)
	h.each(func(name, value string) {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, "\r\n"...)
	})
	if h.altSvc != "" {
		b = append(append(append(b, "Alt-Svc: "...), h.altSvc...), "\r\n"...)
	}
	if h.close {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, h.extra...)
	return append(b, "\r\n"...)
}

// serverName is the value of the Server header.
const serverName = "tmms"

// set puts the head's fields into those of an answer over HTTP/2 or 3, which has
// a Date, and closes its connections, by itself.
func (h *header) set(to http.Header) {
	to["Server"] = []string{serverName}
	h.each(to.Add)
	for line := range strings.Lines(h.extra) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		to.Add(name, value)
	}
}

// each gives the fields that have a value to add; extra and those that are a
// protocol's own are left to the caller.
func (h *header) each(add func(name, value string)) {
	add("Access-Control-Allow-Origin", "*")
	add("Access-Control-Expose-Headers", "*")
	add("X-Content-Type-Options", "nosniff")
	some := func(name, value string) {
		if value != "" {
			add(name, value)
		}
	}
	some("Content-Type", h.typ)
	some("Cache-Control", h.cache)
	some("ETag", h.etag)
	some("Content-Range", h.rang)
	if h.length >= 0 {
		add("Content-Length", strconv.FormatInt(h.length, 10))
	}
	if h.ranges {
		add("Accept-Ranges", "bytes")
	}
	if h.retryAfter > 0 {
		add("Retry-After", strconv.Itoa(h.retryAfter))
	}
}

// body is what is left of an answer's body: pieces that nobody changes, or a
// file. It is small, see conn: the largest is a segment.
type body struct {
	chunks [][]byte
	file   *segmentFile // held, in place of chunks, which are nil then
	off    int32        // into chunks[0], or into file
	left   int32        // bytes
}

// newBody is the bytes from..to of the chunks.
func newBody(chunks [][]byte, r byteRange) body {
	b := body{chunks: chunks, left: int32(r.to - r.from)}
	b.skip(int(r.from))
	return b
}

// next is the next piece, at most limit bytes, of a body that is no file; empty
// at the end.
func (b *body) next(limit int) []byte {
	if b.left <= 0 {
		return nil
	}
	piece := b.chunks[0][b.off:]
	return piece[:min(len(piece), limit, int(b.left))]
}

// sent takes n bytes off.
func (b *body) sent(n int) {
	b.left -= int32(n)
	b.skip(n)
	if b.left <= 0 {
		b.drop()
	}
}

// drop lets go of what is left.
func (b *body) drop() {
	if b.file != nil {
		b.file.release()
	}
	*b = body{}
}

func (b *body) skip(n int) {
	if b.file != nil {
		b.off += int32(n)
		return
	}
	for len(b.chunks) > 0 {
		rest := len(b.chunks[0]) - int(b.off)
		if n < rest {
			b.off += int32(n)
			return
		}
		n -= rest
		b.chunks, b.off = b.chunks[1:], 0
	}
}

// clock keeps a Date header that is made anew at most once a second.
type clock struct {
	at   time.Duration
	line []byte
}

func (c *clock) date(now time.Duration) []byte {
	if c.line == nil || now-c.at >= time.Second {
		c.at = now
		c.line = time.Now().UTC().AppendFormat(c.line[:0], http.TimeFormat)
	}
	return c.line
}

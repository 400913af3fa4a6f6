package web

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"tmms/media"
)

// request is one parsed request head.
type request struct {
	*http.Request

	query url.Values
}

// refusal is an answer to a request that can't be understood; the connection is
// closed after it.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return fmt.Sprintf("web: %d %s", r.status, r.reason) }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, reason: fmt.Sprintf(format, args...)}
}

// headLength finds the end of the request head that b begins with: 0 while it
// is not there. An empty line ends it; lines end with CRLF, and a bare LF where
// a head could end is refused, since others may see another end there
// (RFC 9112 sections 2.2 and 11.2).
func headLength(b []byte) (int, error) {
	n := bytes.Index(b, []byte("\r\n\r\n"))
	head := b
	if n >= 0 {
		head = b[:n]
	}
	if bytes.Contains(head, []byte("\n\n")) || bytes.Contains(head, []byte("\n\r\n")) {
		return 0, refuse(http.StatusBadRequest, "line ends with a bare LF")
	}
	switch {
	case n >= 0 && n+4 <= media.MaxHTTPHead:
		return n + 4, nil
	case n >= 0, len(b) > media.MaxHTTPHead:
		return 0, refuse(http.StatusRequestHeaderFieldsTooLarge, "request head is over %d bytes", media.MaxHTTPHead)
	}
	return 0, nil
}

// parser turns heads into requests; it belongs to one loop.
type parser struct {
	src bytes.Reader
	buf *bufio.Reader
}

func newParser() *parser {
	p := &parser{}
	p.buf = bufio.NewReaderSize(&p.src, media.MaxHTTPHead)
	return p
}

// parse reads a whole head. What it returns holds nothing of the input. The
// error is a *refusal.
func (p *parser) parse(head []byte) (*request, error) {
	p.src.Reset(head)
	p.buf.Reset(&p.src)
	r, err := http.ReadRequest(p.buf)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed request")
	}
	if p.buf.Buffered()+p.src.Len() > 0 {
		return nil, refuse(http.StatusBadRequest, "bytes inside the request head")
	}
	if err = check(head, r); err != nil {
		return nil, err
	}
	return newRequest(r)
}

// newRequest checks what a request of any HTTP version asks for. The error is a
// *refusal.
func newRequest(r *http.Request) (*request, error) {
	if err := checkTarget(r); err != nil {
		return nil, err
	}
	if len(r.URL.RawQuery) > media.MaxQuery {
		return nil, refuse(http.StatusRequestURITooLong, "query is over %d bytes", media.MaxQuery)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed query")
	}
	return &request{Request: r, query: q}, nil
}

// check refuses what makes two readers see two requests, and bodies: no request
// that we answer has one (RFC 9112 sections 3.2, 6.1 and 6.3).
func check(head []byte, r *http.Request) error {
	hosts := countHeader(head, "host")
	switch {
	case r.ProtoMajor != 1:
		return refuse(http.StatusHTTPVersionNotSupported, "only HTTP/1.0 and HTTP/1.1")
	case countHeader(head, "transfer-encoding") > 0:
		return refuse(http.StatusBadRequest, "a body is not taken: Transfer-Encoding")
	case countHeader(head, "content-length") > 1:
		return refuse(http.StatusBadRequest, "more than one Content-Length")
	case r.ContentLength != 0:
		return errBody()
	case !wellFormed(head):
		return refuse(http.StatusBadRequest, "malformed header line")
	case hosts > 1, hosts == 0 && r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "%d Host headers", hosts)
	}
	return nil
}

func errBody() *refusal { return refuse(http.StatusRequestEntityTooLarge, "a body is not taken") }

// checkTarget refuses hosts that are none, and paths that climb, hide or end early.
func checkTarget(r *http.Request) error {
	switch {
	case r.URL.Scheme != "" && r.URL.Scheme != "http" && r.URL.Scheme != "https":
		return refuse(http.StatusBadRequest, "scheme is not http")
	case r.Host == "" && r.ProtoAtLeast(1, 1), strings.ContainsAny(r.Host, " /\\@?#\x00"):
		return refuse(http.StatusBadRequest, "malformed host")
	}
	p := r.URL.Path
	if r.Method == http.MethodOptions && r.RequestURI == "*" || r.Method == http.MethodConnect {
		return nil
	}
	switch {
	case !strings.HasPrefix(p, "/"):
		return refuse(http.StatusBadRequest, "path does not start with a slash")
	case strings.ContainsAny(p, "\x00\\\r\n"):
		return refuse(http.StatusBadRequest, "path has a forbidden byte")
	case strings.Contains(r.URL.EscapedPath(), "%2e"), strings.Contains(r.URL.EscapedPath(), "%2E"),
		strings.Contains(r.URL.EscapedPath(), "%2f"), strings.Contains(r.URL.EscapedPath(), "%2F"):
		return refuse(http.StatusBadRequest, "path has an escaped dot or slash")
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == "." || part == ".." {
			return refuse(http.StatusBadRequest, "path has a dot segment")
		}
	}
	return nil
}

// wellFormed tells whether each header line begins with a name and a colon, with
// nothing in between: folded lines and blanks in front of the colon are read
// differently by different servers (RFC 9112 sections 5.1 and 5.2).
func wellFormed(head []byte) bool {
	first := true
	for line := range bytes.Lines(head) {
		if first || string(line) == "\r\n" {
			first = false
			continue
		}
		i := bytes.IndexByte(line, ':')
		if i <= 0 || bytes.ContainsFunc(line[:i], func(c rune) bool { return c <= ' ' || c >= 0x7F }) {
			return false
		}
	}
	return true
}

// countHeader counts the lines of a head that carry a header; name is in lower case.
func countHeader(head []byte, name string) (n int) {
	for line := range bytes.Lines(head) {
		if i := bytes.IndexByte(line, ':'); i == len(name) && strings.EqualFold(string(line[:i]), name) {
			n++
		}
	}
	return n
}

// override is the domain that the query asks for.
func (r *request) override() string {
	if d := r.query.Get("domain"); d != "" {
		return d
	}
	return r.query.Get("vhost")
}

// suffix is what URIs in a playlist carry on from its request: its query, in a
// form that is safe in a playlist; "" without one.
func (r *request) suffix() string {
	kept := r.query
	for name := range r.query {
		if !strings.HasPrefix(name, directives) && name != media.ParamVia {
			continue
		}
		if len(kept) == len(r.query) {
			kept = maps.Clone(r.query)
		}
		delete(kept, name)
	}
	if len(kept) == 0 {
		return ""
	}
	return "?" + kept.Encode()
}

// keepAlive tells whether the connection may be used for another request
// (RFC 9112 section 9.3).
func (r *request) keepAlive() bool {
	if r.ProtoAtLeast(1, 1) {
		return !r.Close
	}
	return hasToken(r.Header, "Connection", "keep-alive")
}

// hasToken looks for a token in a list header, in any case.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

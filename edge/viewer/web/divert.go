package web

import (
	"net/http"
	"net/url"

	"tmms/edge/viewer"
	"tmms/media"
)

// divert sends a viewer to another node, while the gate says so and one is known:
// by a redirect to the same path, which every HTTP client follows but one that
// opens a WebSocket. The target names the domain where the other host alone would
// not. Files are served: whoever asks has a playlist from here. ok = false: the
// viewer stays.
func (s *Server) divert(q asking, t viewer.Target, what want) (r reply, ok bool) {
	if !s.gate.Diverting() || s.watchAt == nil || what == wantFile || what == wantFLV && wsWanted(q.request) {
		return r, false
	}
	secure := !q.bare
	at := s.watchAt(secure)
	if at == "" {
		return r, false
	}
	to := url.URL{Scheme: "http", Host: at, Path: q.URL.Path, RawPath: q.URL.RawPath, RawQuery: q.URL.RawQuery}
	if secure {
		to.Scheme = "https"
	}
	if q.override() == "" && !viewer.At(s.apps, at, t.Key.Domain) {
		if to.RawQuery != "" {
			to.RawQuery += "&"
		}
		to.RawQuery += "domain=" + url.QueryEscape(t.Key.Domain)
	}
	if len(to.RawQuery) > media.MaxQuery {
		return r, false
	}
	s.gate.SentElsewhere()
	where := to.String()
	h := header{status: http.StatusFound, cache: cacheNever, extra: "Location: " + where + "\r\n"}
	return text(h, "this node is being emptied, the stream is at "+where, q.headOnly()), true
}

package web

import (
	"net/http"
	"net/url"

	"tmms/edge/viewer"
	"tmms/media"
)

// divert sends a viewer to another node, while the gate says so and one is known, or by
// the node's policy: by a redirect to the same path, which every HTTP client follows but
// one that opens a WebSocket. The target names the domain where the other host alone
// would not. Files are served: whoever asks has a playlist from here. ok = false: the
// viewer stays.
func (s *Server) divert(q asking, t viewer.Target, what want) (r reply, ok bool) {
	if what == wantFile || what == wantFLV && wsWanted(q.request) {
		return r, false
	}
	at, why, mark := "", "this node is being emptied, the stream is at ", ""
	if s.gate.Diverting() && s.watchAt != nil {
		at = s.watchAt(!q.bare)
	} else if what == wantMultivariant || what.live() { // else a session runs here
		at, why, mark = s.elsewhere(q, t, what), "the stream is nearer, or has more room, at ", media.Via
	}
	if at == "" {
		return r, false
	}
	to := q.moved(s.apps, at, t.Key.Domain, mark)
	if len(to.RawQuery) > media.MaxQuery {
		return r, false
	}
	s.gate.SentElsewhere()
	return found(q, to, why), true
}

// elsewhere is where the node's policy sends the viewer; "": nowhere. Who was sent here
// stays.
func (s *Server) elsewhere(q asking, t viewer.Target, what want) string {
	if s.near == nil || q.query.Has(media.ParamVia) {
		return ""
	}
	kind := "https"
	if q.bare {
		kind = "http"
	}
	return s.near.Elsewhere(viewer.Visitor{
		From: q.from, Stream: t.Key, Kind: kind, Refused: what.live() && s.gate.Full(),
	})
}

// moved is the URL that is asked for at another address, HOST:PORT; "" is this node.
// It says the domain where the other host alone would not, and has one more parameter,
// mark, unless that is "" or there already.
func (q asking) moved(apps viewer.Apps, at, domain, mark string) url.URL {
	to := url.URL{Host: at, Path: q.URL.Path, RawPath: q.URL.RawPath, RawQuery: q.URL.RawQuery}
	add := func(parameter string) {
		if to.RawQuery != "" {
			to.RawQuery += "&"
		}
		to.RawQuery += parameter
	}
	switch {
	case at == "":
	case q.bare:
		to.Scheme = "http"
	default:
		to.Scheme = "https"
	}
	if at != "" && q.override() == "" && !viewer.At(apps, at, domain) {
		add("domain=" + url.QueryEscape(domain))
	}
	if mark != "" && !q.query.Has(media.ParamVia) {
		add(mark)
	}
	return to
}

// found answers with a redirect.
func found(q asking, to url.URL, why string) reply {
	where := to.String()
	h := header{status: http.StatusFound, cache: cacheNever, extra: "Location: " + where + "\r\n"}
	return text(h, why+where, q.headOnly())
}

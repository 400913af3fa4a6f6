package admin

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard stands before every handler: it refuses what a page of a foreign site
// could make the operator's browser send, and sets the headers that every
// answer carries.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !s.hostAllowed(r.Host) {
			writeError(w, refuse(http.StatusMisdirectedRequest, "host",
				"host %.64q is not a name of this server", r.Host))
			return
		}
		if !sameOrigin(r) {
			writeError(w, refuse(http.StatusForbidden, "origin", "requests from other sites are refused"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets the console load its own files and call its own API.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// hostAllowed stops DNS rebinding: a foreign name that was made to point here
// is not one of ours, and an IP literal cannot be rebound. A token cannot be
// had by rebinding either, so with tokens a list of names is not required.
func (s *Server) hostAllowed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || name == "localhost" {
		return true
	}
	if s.file != "" && len(s.hosts) == 0 {
		return true
	}
	return slices.Contains(s.hosts, name)
}

// sameOrigin refuses requests that a browser marks as another site's.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https")
}

// caller tells who sends a request.
func (s *Server) caller(r *http.Request) caller {
	if s.file == "" {
		return caller{name: "local", role: roleAdmin}
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return caller{}
	}
	return identify(*s.tokens.Load(), secret)
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == "application/json"
}

package admin

import (
	"net/http"
	"net/http/pprof"
	"slices"
)

// profiles are those of package runtime/pprof that are shown, besides "profile",
// which is the processor's.
var profiles = []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"}

// showProfile answers for "go tool pprof". Profiles hold no secret of the
// config, but what memory holds of it may show in a goroutine's stack, so they
// are for admins.
func (s *Server) showProfile(w http.ResponseWriter, r *http.Request, _ caller) error {
	name := r.PathValue("profile")
	switch {
	case name == "profile":
		pprof.Profile(w, r)
	case slices.Contains(profiles, name):
		pprof.Handler(name).ServeHTTP(w, r)
	default:
		return refuse(http.StatusNotFound, "not_found", "no such profile %.32q, there are profile and %v", name, profiles)
	}
	return nil
}

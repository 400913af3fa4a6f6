package admin

import (
	"net/http"
	"net/http/pprof"
)

// showProfile answers for "go tool pprof". Profiles hold no secret of the
// config, but what memory holds of it may show in a goroutine's stack, so they
// are for admins.
func (s *Server) showProfile(w http.ResponseWriter, r *http.Request, _ caller) error {
	switch name := r.PathValue("profile"); name {
	case "profile": // the processor's
		pprof.Profile(w, r)
	case "allocs", "block", "goroutine", "heap", "mutex", "threadcreate":
		pprof.Handler(name).ServeHTTP(w, r)
	default:
		return refuse(http.StatusNotFound, "not_found",
			"no such profile %.32q, there are profile, allocs, block, goroutine, heap, mutex and threadcreate", name)
	}
	return nil
}

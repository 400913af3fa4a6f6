package admin

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed console
var consoleFiles embed.FS

// console serves the embedded pages. They hold no data: what they show they
// fetch from the API, with a token if one is needed.
func (s *Server) console() http.Handler {
	root, err := fs.Sub(consoleFiles, "console")
	if err != nil {
		panic("admin: console is not embedded: " + err.Error()) // cannot happen: the name is checked at build time
	}
	files := http.FileServerFS(root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeError(w, refuse(http.StatusMethodNotAllowed, "method", "%.32s is not allowed here", r.Method))
			return
		}
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

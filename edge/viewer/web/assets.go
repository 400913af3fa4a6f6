package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
)

//go:embed assets/hls.min.js assets/mpegts.js assets/watch.html assets/watch.js assets/watch.css assets/favicon.svg
var assetFiles embed.FS

// asset is a file that is served as it is.
type asset struct {
	data []byte
	typ  string
	etag string
}

// Paths of the watch page and its icon; the rest is under /assets/.
const (
	pathPage = "/"
	pathIcon = "/favicon.ico"
)

// loadAssets maps paths to the embedded files.
func loadAssets() (map[string]*asset, error) {
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
		".html": "text/html; charset=utf-8", ".svg": "image/svg+xml",
	}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	m := make(map[string]*asset, len(entries)+1)
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		a := &asset{data: data, typ: types[path.Ext(e.Name())], etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		switch path.Ext(e.Name()) {
		case ".html":
			m[pathPage] = a
		case ".svg":
			m[pathIcon] = a
		default:
			m["/assets/"+e.Name()] = a
		}
	}
	return m, nil
}

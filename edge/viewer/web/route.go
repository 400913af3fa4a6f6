package web

import "strings"

// what a path asks for.
type want uint8

const (
	wantNothing want = iota
	wantAsset
	wantFLV
	wantTS
	wantMultivariant
	wantMedia
	wantLow
	wantFile
)

// live tells that it is a stream as it comes: the app's flv switch is for all of those.
func (w want) live() bool { return w == wantFLV || w == wantTS }

// name is what people call it.
func (w want) name() string {
	if w == wantTS {
		return "HTTP-TS"
	}
	return "FLV"
}

// route is a path taken apart.
type route struct {
	want   want
	asset  string // path of the file
	app    string
	stream string
	name   string // of a segment, or another file beside the playlists
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
		if stream, ok := strings.CutSuffix(parts[1], ".ts"); ok {
			return route{want: wantTS, app: parts[0], stream: stream}
		}
		if stream, ok := strings.CutSuffix(parts[1], ".m3u8"); ok {
			return route{want: wantMultivariant, app: parts[0], stream: stream}
		}
	case 3:
		to := route{app: parts[0], stream: parts[1]}
		switch name := parts[2]; {
		case name == "live.m3u8":
			to.want = wantMedia
			return to
		case name == "ll.m3u8":
			to.want = wantLow
			return to
		case strings.HasSuffix(name, ".ts"), strings.HasSuffix(name, ".m4s"), strings.HasSuffix(name, ".mp4"):
			to.want, to.name = wantFile, name
			return to
		}
	}
	if parts[0] == "watch" && len(parts) <= 4 {
		return route{want: wantAsset, asset: pathPage}
	}
	return route{}
}

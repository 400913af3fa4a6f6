package web

import "strings"

// what a path asks for.
type want uint8

const (
	wantNothing want = iota
	wantAsset
	wantFLV
	wantMultivariant
	wantMedia
	wantSegment
)

// route is a path taken apart.
type route struct {
	want   want
	asset  string // path of the file
	app    string
	stream string
	name   string // of the segment
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
		if stream, ok := strings.CutSuffix(parts[1], ".m3u8"); ok {
			return route{want: wantMultivariant, app: parts[0], stream: stream}
		}
	case 3:
		switch {
		case parts[2] == "live.m3u8":
			return route{want: wantMedia, app: parts[0], stream: parts[1]}
		case strings.HasSuffix(parts[2], ".ts"):
			return route{want: wantSegment, app: parts[0], stream: parts[1], name: parts[2]}
		}
	}
	if parts[0] == "watch" && len(parts) <= 4 {
		return route{want: wantAsset, asset: pathPage}
	}
	return route{}
}

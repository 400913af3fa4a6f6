package fmp4_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tmms/media/fmp4"
)

// inChromium are the combinations that the browser has decoders for.
var inChromium = []string{"h264+aac", "b-frames", "av1+opus", "vp9+opus", "h264+flac", "opus-5.1", "audio-only", "video-only"}

// Chromium takes the media type by the names that a playlist has, and plays all
// of the file. -short runs have no browser and look at the names only.
func TestBrowser(t *testing.T) {
	var sources []source
	var args []string
	for _, c := range combinations {
		if !slices.Contains(inChromium, c.name) {
			continue
		}
		src := encode(t, c.args)
		if c.only != 0 {
			src = src.only(c.only)
		}
		out := mux(t, src, 200)
		typ := mediaType(fmp4.Describe(src.cfg))
		if !strings.Contains(typ, `/mp4; codecs="`) {
			t.Fatalf("media type %q", typ)
		}
		sources = append(sources, src)
		args = append(args, save(t, append([][]byte{out.init}, out.segments...)...), typ)
	}
	if len(sources) != len(inChromium) {
		t.Fatalf("%d combinations, want %d", len(sources), len(inChromium))
	}
	if !testing.Short() {
		play(t, sources, args)
	}
}

// mediaType names a file to a browser.
func mediaType(info fmp4.Info) string {
	names := slices.DeleteFunc([]string{info.VideoCodec, info.AudioCodec}, func(s string) bool { return s == "" })
	typ := "audio"
	if info.VideoCodec != "" {
		typ = "video"
	}
	return typ + `/mp4; codecs="` + strings.Join(names, ",") + `"`
}

// play plays files in the browser: args has each file's name and media type.
func play(t *testing.T, sources []source, args []string) {
	t.Helper()
	var reports []struct {
		Supported     bool
		Buffered      [][2]float64
		Played        float64
		Width, Height int
		Error         string
	}
	dir := filepath.Join("..", "..", "cmd", "tmms", "e2e")
	out := tool(t, dir, "node", append([]string{"mse.mjs"}, args...)...)
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != len(sources) {
		t.Fatalf("%d reports, error %v", len(reports), err)
	}
	for i, r := range reports {
		typ := args[2*i+1]
		if !r.Supported || r.Error != "" || len(r.Buffered) != 1 {
			t.Errorf("%s: %+v", typ, r)
			continue
		}
		if b := r.Buffered[0]; b[0] > 0.2 || b[1] < 1.9 || b[1] > 2.2 || r.Played < 1.9 {
			t.Errorf("%s: of two seconds %.3f are buffered, played until %.3f", typ, b, r.Played)
		}
		if info := fmp4.Describe(sources[i].cfg); r.Width != info.Width || r.Height != info.Height {
			t.Errorf("%s: picture %d x %d, want %d x %d", typ, r.Width, r.Height, info.Width, info.Height)
		}
	}
}

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
// of the file. In -short runs, which have no browser, this looks at the names only.
func TestBrowser(t *testing.T) {
	played := 0
	for _, c := range combinations {
		if !slices.Contains(inChromium, c.name) {
			continue
		}
		played++
		t.Run(c.name, func(t *testing.T) {
			src := encode(t, c.args)
			if c.only != 0 {
				src = src.only(c.only)
			}
			typ := mediaType(fmp4.Describe(src.cfg))
			if !strings.Contains(typ, `/mp4; codecs="`) {
				t.Fatalf("media type %q", typ)
			}
			if !testing.Short() {
				play(t, src, typ)
			}
		})
	}
	if played != len(inChromium) {
		t.Errorf("%d combinations, want %d", played, len(inChromium))
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

// play plays a source in the browser, in parts of 200 ms.
func play(t *testing.T, src source, typ string) {
	t.Helper()
	out := mux(t, src, 200)
	name := save(t, append([][]byte{out.init}, out.segments...)...)
	var report struct {
		Supported     bool
		Buffered      [][2]float64
		Played        float64
		Width, Height int
		Error         string
	}
	dir := filepath.Join("..", "..", "cmd", "tmms", "e2e")
	if err := json.Unmarshal([]byte(tool(t, dir, "node", "mse.mjs", name, typ)), &report); err != nil {
		t.Fatal(err)
	}
	if !report.Supported || report.Error != "" || len(report.Buffered) != 1 {
		t.Fatalf("%s: %+v", typ, report)
	}
	if b := report.Buffered[0]; b[0] > 0.2 || b[1] < 1.9 || b[1] > 2.2 || report.Played < 1.9 {
		t.Errorf("%s: of two seconds %.3f are buffered, played until %.3f", typ, b, report.Played)
	}
	if info := fmp4.Describe(src.cfg); report.Width != info.Width || report.Height != info.Height {
		t.Errorf("%s: picture %d x %d, want %d x %d", typ, report.Width, report.Height, info.Width, info.Height)
	}
}

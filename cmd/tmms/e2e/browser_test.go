package e2e

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// picture is what browser.mjs reports.
type picture struct {
	Errors  []string `json:"errors"`
	Played  float64  `json:"played"` // seconds of media
	Width   int      `json:"width"`
	Height  int      `json:"height"`
	Frames  int      `json:"frames"`
	Dropped int      `json:"dropped"`
	Spread  int      `json:"spread"` // of the red channel over the picture
	Status  string   `json:"status"`
}

// browse opens a page in Chromium until its video has played for some seconds.
func browse(t *testing.T, page string, seconds int) picture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
	defer cancel()
	shot := filepath.Join(t.TempDir(), "page.png")
	out, err := node(ctx, "browser.mjs", page, strconv.Itoa(seconds), shot)
	if err != nil {
		t.Fatal(err)
	}
	var p picture
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return p
}

// TestBrowser plays the watch page with mpegts.js, over HTTP and WebSocket, and
// with hls.js.
//
// Requirement: S15
func TestBrowser(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	push(t, "av.flv", s.pushURL("web"))
	s.waitPlaylist(t, "web", 3)
	for _, by := range []string{"flv", "ws", "hls"} {
		t.Run(by, func(t *testing.T) {
			q := url.Values{"stream": {"live/web"}, "by": {by}}
			p := browse(t, s.url("/?"+q.Encode()), 4)
			if p.Played < 4 || p.Frames < 80 {
				t.Errorf("played %.1f s, %d frames: %q", p.Played, p.Frames, p.Status)
			}
			if p.Width != 640 || p.Height != 360 || p.Spread < 60 {
				t.Errorf("the picture has %dx%d and a spread of %d", p.Width, p.Height, p.Spread)
			}
			if len(p.Errors) > 0 {
				t.Errorf("the console shows %q", p.Errors)
			}
		})
	}
}

package glass

import (
	"strings"
	"testing"
	"time"
)

// read is what the page does with a picture.
func read(b []byte) (ms uint32, ok bool) {
	var bits uint64
	for row := range rows {
		for column := range columns {
			bits <<= 1
			if b[(row*cellHeight+cellHeight/2)*pictureWidth+column*cellWidth+cellWidth/2] > 128 {
				bits |= 1
			}
		}
	}
	return uint32(bits >> 8), byte(bits) == checkOf(uint32(bits>>8))
}

func TestClock(t *testing.T) {
	b := make([]byte, pictureWidth*pictureHeight)
	for _, ms := range []uint32{0, 1, 0x80000000, 0x55555555, 0xDEADBEEF, 0xFFFFFFFF} {
		draw(b, ms)
		if got, ok := read(b); got != ms || !ok {
			t.Errorf("%#x is read as %#x, %v", ms, got, ok)
		}
	}
	for _, shade := range []byte{0, 255} {
		for i := range b {
			b[i] = shade
		}
		if ms, ok := read(b); ok {
			t.Errorf("a picture of nothing but %d is the clock %#x", shade, ms)
		}
	}
}

func TestResult(t *testing.T) {
	r := &report{Misread: 2, Waits: 1}
	for i := range 101 {
		r.DelaysMS = append(r.DelaysMS, float64(100-i))
	}
	got, err := r.result(PlayerFLV)
	if want := (Result{PlayerFLV, 101, 2, 1, 50, 90, 99, 100}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, r := range []*report{{DelaysMS: r.DelaysMS, Errors: []string{"bufferStalled"}}, {DelaysMS: r.DelaysMS[:9]}} {
		if _, err := r.result(PlayerHLS); err == nil || !strings.Contains(err.Error(), strings.Join(r.Errors, "")) {
			t.Errorf("%d pictures with %q: %v", len(r.DelaysMS), r.Errors, err)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Push: "rtmp://h/a/s", URL: "http://h/a/s.flv", Assets: "http://h", Player: PlayerFLV, Duration: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, spoil := range []func(c *Config){
		func(c *Config) { c.Player = "vlc" },
		func(c *Config) { c.Push = "" },
		func(c *Config) { c.Duration = 0 },
		func(c *Config) { c.Warmup = -1 },
		func(c *Config) { c.Before = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := Run(t.Context(), bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

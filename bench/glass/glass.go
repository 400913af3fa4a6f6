// Package glass measures from glass to glass: how long it takes from the moment
// at which a clock is drawn into a picture, through an encoder, a server and a
// player, until a browser shows that picture.
package glass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The players, as Config.Player names them.
const (
	PlayerFLV   = "flv"   // mpegts.js, HTTP-FLV, 0.3 s behind the newest
	PlayerLLHLS = "llhls" // hls.js, in its low latency mode
	PlayerHLS   = "hls"   // hls.js
)

// Config of a measurement. ffmpeg and Chromium must be installed.
type Config struct {
	Push   string // rtmp://HOST[:PORT]/APP/STREAM, where the clock is published
	URL    string // what the player plays
	Assets string // http://HOST[:PORT] of a tmms, whose copies of the players are used
	Player string

	Before   time.Duration // that the stream runs before the player joins
	Warmup   time.Duration // from the first picture, in which the player finds its place
	Duration time.Duration // of the measurement, at least 1 s
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	switch {
	case !slices.Contains([]string{PlayerFLV, PlayerLLHLS, PlayerHLS}, c.Player):
		return fmt.Errorf("glass: player %q is not %s, %s or %s", c.Player, PlayerFLV, PlayerLLHLS, PlayerHLS)
	case c.Push == "" || c.URL == "" || c.Assets == "":
		return fmt.Errorf("glass: push %q, url %q and assets %q must all be given", c.Push, c.URL, c.Assets)
	case c.Before < 0 || c.Warmup < 0 || c.Duration < time.Second:
		return fmt.Errorf("glass: before %v or warmup %v is negative, or duration %v below 1s",
			c.Before, c.Warmup, c.Duration)
	}
	return nil
}

// Result is what a measurement has found.
type Result struct {
	Player   string  `json:"player"`
	Pictures int     `json:"pictures"` // that were shown and whose clock was read
	Misread  int     `json:"misread"`  // that showed no clock
	Waits    int     `json:"waits"`    // of the player for data
	P50MS    float64 `json:"p50_ms"`
	P90MS    float64 `json:"p90_ms"`
	P99MS    float64 `json:"p99_ms"`
	MaxMS    float64 `json:"max_ms"`
}

// startTimeout is how long it may take until the first picture is shown.
const startTimeout = 40 * time.Second

// Run publishes the clock and watches it, and returns when everything that it
// has started has ended.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Before+startTimeout+cfg.Warmup+cfg.Duration)
	defer cancel()
	published := make(chan error, 1)
	go func() {
		published <- publish(ctx, cfg.Push)
		cancel()
	}()
	select {
	case <-time.After(cfg.Before):
	case <-ctx.Done(): // watch tells
	}
	seen, err := watch(ctx, cfg)
	cancel()
	if err = errors.Join(err, <-published); err != nil {
		return Result{}, err
	}
	return seen.result(cfg.Player)
}

// report is what the page has seen.
type report struct {
	DelaysMS []float64 `json:"delays"`
	Misread  int       `json:"misread"`
	Waits    int       `json:"waits"`
	Errors   []string  `json:"errors"`
}

// result is an error if the player had one, or has shown next to nothing.
func (r *report) result(player string) (Result, error) {
	const few = 10
	res := Result{Player: player, Pictures: len(r.DelaysMS), Misread: r.Misread, Waits: r.Waits}
	if len(r.Errors) > 0 || len(r.DelaysMS) < few {
		return res, fmt.Errorf("glass: %s has shown %d pictures, %d could not be read: %s",
			player, len(r.DelaysMS), r.Misread, strings.Join(r.Errors, "; "))
	}
	slices.Sort(r.DelaysMS)
	at := func(share float64) float64 { return r.DelaysMS[int(share*float64(len(r.DelaysMS)-1))] }
	res.P50MS, res.P90MS, res.P99MS, res.MaxMS = at(0.50), at(0.90), at(0.99), at(1)
	return res, nil
}

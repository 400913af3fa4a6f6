package witness

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tmms/bench/play"
	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/rtmp"
)

// Config of a viewer.
type Config struct {
	Name string    // for reports
	URL  string    // rtmp://HOST/APP/STREAM, http://HOST/APP/STREAM.flv or .m3u8
	Dial play.Dial // required
}

// comeBack is the time between the loss of a server and the next try.
const comeBack = 500 * time.Millisecond

// Sight is what a viewer got in a time.
type Sight struct {
	signal.Stretch

	Opened int      // connections that gave a picture, or a playlist
	Ends   []string // why connections ended, or were not to be had, the first 20
	List   Listing  // of HLS
}

// maxLost bounds Sight.Ends.
const maxLost = 20

// Witness is one viewer. Its methods are for any goroutine.
type Witness struct {
	cfg  Config
	done chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	ledger signal.Ledger
	sight  Sight
}

// Start begins to watch, until ctx ends; Wait waits for that.
func Start(ctx context.Context, cfg Config) *Witness {
	w := &Witness{cfg: cfg, done: make(chan struct{})}
	watch := w.stream
	if strings.HasSuffix(cfg.URL, ".m3u8") {
		watch = w.hls
	}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			w.lose(ctx, watch(ctx))
			select {
			case <-ctx.Done():
			case <-time.After(comeBack):
			}
		}
	}()
	return w
}

// Wait returns when the viewer has ended.
func (w *Witness) Wait() { <-w.done }

// Name is that of the config.
func (w *Witness) Name() string { return w.cfg.Name }

// HLS tells that it plays by HLS, which is seconds behind.
func (w *Witness) HLS() bool { return strings.HasSuffix(w.cfg.URL, ".m3u8") }

// Cut gives what came since the last cut, and begins a new stretch.
func (w *Witness) Cut() Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sight
	s.Stretch = w.ledger.Cut(time.Now())
	w.sight = Sight{}
	return s
}

// Since is when the last picture came; zero: none has.
func (w *Witness) Since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ledger.Since()
}

// lose notes the end of a connection.
func (w *Witness) lose(ctx context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() == nil && len(w.sight.Ends) < maxLost {
		w.sight.Ends = append(w.sight.Ends, fmt.Sprintf("%s %v", time.Now().Format("15:04:05.000"), err))
	}
}

// stream watches by RTMP or FLV until the connection ends.
func (w *Witness) stream(ctx context.Context) error {
	opened := false
	return play.Follow(ctx, w.cfg.URL, w.cfg.Dial, func(m rtmp.Message, now time.Time) {
		a, ok := arrival(m, now)
		if !ok {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !opened {
			opened = true
			w.sight.Opened++
			w.ledger.Rejoin()
		}
		w.ledger.See(a)
	})
}

// arrival finds the marked frame of a message.
func arrival(m rtmp.Message, now time.Time) (a signal.Arrival, ok bool) {
	a = signal.Arrival{Time: time.Duration(m.Timestamp) * time.Millisecond, Now: now}
	switch m.Type {
	case media.TypeVideo:
		a.Track = signal.Video
		a.Marker, ok = signal.Read(m.Body)
	case media.TypeAudio:
		a.Track = signal.Audio
		a.Marker, ok = signal.ReadAudio(m.Body)
	case media.TypeData:
	}
	return a, ok
}

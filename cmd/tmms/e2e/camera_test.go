package e2e

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tmms/bench/faults"
	"tmms/bench/play"
	"tmms/media/rtmp"
)

// camera is ffmpeg that publishes a picture which browsers can decode. When it is
// lost another one comes up, at the next address, with its clock at 0.
type camera struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	lost    int // read after the end
}

func startCamera(t *testing.T, host *faults.Host, urls ...string) *camera {
	t.Helper()
	c := &camera{}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.running.Go(func() {
		for i := 0; ; i++ {
			_ = host.Command(ctx, "ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1",
				"-i", filepath.Join(assets, "short.flv"), "-c", "copy", "-f", "flv", urls[i%len(urls)]).Run() // why does not matter
			select {
			case <-ctx.Done():
				return
			case <-time.After(roamingPause):
				c.lost++
			}
		}
	})
	t.Cleanup(func() { c.end() })
	return c
}

// end ends it, and tells how often it has lost its server.
func (c *camera) end() (lost int) {
	c.cancel()
	c.running.Wait()
	return c.lost
}

// outages watches a stream for how long nothing comes of it.
type outages struct {
	mu      sync.Mutex
	last    time.Time     // guarded by mu
	longest time.Duration // guarded by mu; since it was taken
}

// followOutages watches until ctx ends or the stream does.
func followOutages(ctx context.Context, host *faults.Host, url string) *outages {
	o := &outages{last: time.Now()}
	go func() {
		_ = play.Follow(ctx, url, host.Dial, func(_ rtmp.Message, now time.Time) { // its end is a long silence
			o.mu.Lock()
			defer o.mu.Unlock()
			o.longest = max(o.longest, now.Sub(o.last))
			o.last = now
		})
	}()
	return o
}

// take gives the longest silence since it was taken last, one that still lasts
// included.
func (o *outages) take() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	longest := max(o.longest, time.Since(o.last))
	o.longest = 0
	return longest
}

// hostClient asks from a host.
type hostClient struct{ client *http.Client }

func newHostClient(t *testing.T, host *faults.Host) hostClient {
	t.Helper()
	transport := &http.Transport{DialContext: host.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return hostClient{&http.Client{Transport: transport, Timeout: 15 * time.Second}}
}

// get fetches a page; 0 if there is no answer.
func (c hostClient) get(ctx context.Context, url string) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, nil
	}
	res, err := c.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

package play

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tmms/bench/signal"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// flvServer answers with the synthetic stream in real time; skip leaves out
// every skip-th video frame.
func flvServer(t *testing.T, skip int) string {
	t.Helper()
	srv := httptest.NewServer(flvHandler(t, skip))
	t.Cleanup(srv.Close)
	return srv.URL
}

func flvHandler(t *testing.T, skip int) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/live/a.flv" {
			http.NotFound(w, req)
			return
		}
		source, err := signal.NewSource(signal.DefaultConfig())
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := w.Write(flv.AppendHeader(nil, true, true)); err != nil {
			return
		}
		start := time.Now()
		for n := 1; ; n++ {
			select {
			case <-time.After(time.Until(start.Add(source.Due()))):
			case <-req.Context().Done():
				return
			}
			f := source.Next(time.Now())
			if skip > 0 && n%skip == 0 {
				continue
			}
			tag := flv.AppendTag(nil, flv.Tag{Type: f.Type, Timestamp: uint32(f.Due.Milliseconds()), Body: f.Body})
			if _, err := w.Write(tag); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
}

func config(url string) Config {
	return Config{
		URL: url, Streams: 1, Viewers: 6, Verify: 2, ConnectRate: 1000, Sources: 2,
		Warmup: 100 * time.Millisecond, Duration: time.Second,
	}
}

// Requirement: C8
func TestRunOverHTTP(t *testing.T) {
	counting := false
	r, err := Run(t.Context(), config(flvServer(t, 0)+"/live/a.flv"), func() { counting = true })
	if err != nil {
		t.Fatal(err)
	}
	if !counting {
		t.Error("onCount was not called")
	}
	if r.Viewers != 6 || r.Lost != 0 || r.Verified != 3 {
		t.Errorf("%d viewers, %d lost, %d verified", r.Viewers, r.Lost, r.Verified)
	}
	if c := r.Check; c.Frames < 3*25 || c.Gaps+c.Repeats+c.Damaged+c.Back != 0 {
		t.Errorf("check is %+v", c)
	}
	if perViewer := float64(r.Bytes) * 8 / r.Elapsed.Seconds() / 6; perViewer < 1.2e6 || perViewer > 3e6 {
		t.Errorf("%.0f bit/s for each viewer", perViewer)
	}
	if r.Delay.Count() != r.Check.Frames || r.Delay.Quantile(0.99) < r.Delay.Quantile(0.5) || r.Delay.Max() > time.Second {
		t.Errorf("%d delays: p50 %v, p99 %v, max %v", r.Delay.Count(), r.Delay.Quantile(0.5), r.Delay.Quantile(0.99), r.Delay.Max())
	}
}

func TestRunOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(flvHandler(t, 0))
	t.Cleanup(web.Close)
	ln := tls.NewListener(listen(t), web.TLS)
	go acceptRTMP(t, ln)
	for _, url := range []string{web.URL + "/live/a.flv", "rtmps://" + ln.Addr().String() + "/live/a"} {
		r, err := Run(t.Context(), config(url), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Viewers != 6 || r.Lost != 0 || r.Verified != 3 {
			t.Errorf("%s: %d viewers, %d lost, %d verified", url, r.Viewers, r.Lost, r.Verified)
		}
		if c := r.Check; c.Frames < 3*20 || c.Gaps+c.Repeats+c.Damaged+c.Back != 0 {
			t.Errorf("%s: check is %+v", url, c)
		}
	}
	if r, err := Run(t.Context(), config(web.URL+"/live/none.flv"), nil); err == nil || r.Lost == 0 && r.Viewers > 0 {
		t.Errorf("a stream that is not there: %+v, %v", r, err)
	}
}

func TestRunSeesFaults(t *testing.T) {
	r, err := Run(t.Context(), config(flvServer(t, 10)+"/live/a.flv"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Check.Gaps == 0 {
		t.Error("missing frames were not seen")
	}
	if r, err := Run(t.Context(), config(flvServer(t, 0)+"/live/none.flv"), nil); err == nil || r.Lost == 0 && r.Viewers > 0 {
		t.Errorf("a stream that is not there: %+v, %v", r, err)
	}
	if _, err := Run(t.Context(), config("ftp://127.0.0.1/x"), nil); err == nil {
		t.Error("an ftp URL was accepted")
	}
}

// rtmpServer accepts players with rtmp.ServerConn and sends the synthetic stream.
func rtmpServer(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	go acceptRTMP(t, ln)
	return "rtmp://" + ln.Addr().String() + "/live/a"
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func acceptRTMP(t *testing.T, ln net.Listener) {
	t.Helper()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go serveRTMP(t, c)
	}
}

func serveRTMP(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	conn := rtmp.NewServerConn(rtmp.ServerConfig{})
	b := make([]byte, 4096)
	for playing := false; !playing; {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		for rest := b[:n]; ; {
			used, ev, err := conn.Feed(rest)
			if err != nil {
				t.Error(err)
				return
			}
			rest = rest[used:]
			if ev.Kind == rtmp.EventPlay {
				conn.AcceptPlay()
				playing = true
			}
			if ev.Kind == rtmp.EventNone {
				break
			}
		}
		out := conn.Output()
		if _, err := c.Write(out); err != nil {
			return
		}
		conn.Sent(len(out))
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	source, err := signal.NewSource(signal.DefaultConfig())
	if err != nil {
		t.Error(err)
		return
	}
	start := time.Now()
	for {
		<-time.After(time.Until(start.Add(source.Due())))
		f := source.Next(time.Now())
		m := rtmp.Message{Type: f.Type, Timestamp: uint32(f.Due.Milliseconds()), Body: f.Body}
		if _, err := c.Write(rtmp.AppendMedia(nil, m)); err != nil {
			return
		}
	}
}

func TestRunOverRTMP(t *testing.T) {
	r, err := Run(t.Context(), config(rtmpServer(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Viewers != 6 || r.Lost != 0 {
		t.Errorf("%d viewers, %d lost", r.Viewers, r.Lost)
	}
	if c := r.Check; c.Frames < 3*25 || c.Gaps+c.Repeats+c.Damaged+c.Back != 0 {
		t.Errorf("check is %+v", c)
	}
}

func TestTargets(t *testing.T) {
	list, err := parseTargets("http://h/live/a.flv", 3)
	if err != nil || len(list) != 3 || !bytes.HasPrefix(list[2].request, []byte("GET /live/a-3.flv ")) {
		t.Errorf("got %v, %v", list, err)
	}
	list, err = parseTargets("http://h/live/a.ts", 2)
	if err != nil || !list[1].ts || !bytes.HasPrefix(list[1].request, []byte("GET /live/a-2.ts ")) {
		t.Errorf("got %v, %v", list, err)
	}
	list, err = parseTargets("rtmp://h/live/a", 2)
	if err != nil || list[1].rtmp.Stream != "a-2" {
		t.Errorf("got %v, %v", list, err)
	}
	if list, err = parseTargets("rtmp://h/live/a", 1); err != nil || list[0].rtmp.Stream != "a" {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestConfigValidate(t *testing.T) {
	good := config("http://x/a.flv")
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Viewers = 0 },
		func(c *Config) { c.Viewers = 20_000 },
		func(c *Config) { c.Verify = 7 },
		func(c *Config) { c.Sources = 0 },
		func(c *Config) { c.ConnectRate = 0 },
		func(c *Config) { c.Duration = 0 },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestLaps(t *testing.T) {
	laps, reports := make(chan struct{}), make(chan Report, 2)
	cfg := config(flvServer(t, -1) + "/live/a.flv")
	cfg.Laps = laps
	cfg.OnLap = func(r Report) { reports <- r }
	last := make(chan Report, 1)
	go func() {
		r, err := Run(t.Context(), cfg, nil)
		if err != nil {
			t.Error(err)
		}
		last <- r
	}()
	for range 2 {
		laps <- struct{}{}
		if r := <-reports; r.Viewers != cfg.Viewers || r.Lost != 0 {
			t.Errorf("a lap: %d viewers, %d lost", r.Viewers, r.Lost)
		}
	}
	close(laps)
	if r := <-last; r.Viewers != cfg.Viewers || r.Lost != 0 {
		t.Errorf("the last lap: %d viewers, %d lost", r.Viewers, r.Lost)
	}
}

// A viewer that is refused with a redirect asks where it is sent to, a few times at most.
func TestRedirectsAreFollowed(t *testing.T) {
	var asked atomic.Int32
	var next atomic.Pointer[string]
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	next.Store(new(ln.Addr().String()))
	go func() {
		for {
			c, failed := ln.Accept()
			if failed != nil {
				return
			}
			go redirectPlayer(c, func(r *rtmp.Request) string {
				asked.Add(1)
				if r.Param("via") == "2" && r.Stream == "end" {
					return ""
				}
				return *next.Load()
			})
		}
	}()
	u, err := rtmp.ParseURL("rtmp://" + ln.Addr().String() + "/live/end?x=1")
	if err != nil {
		t.Fatal(err)
	}
	v, err := target{address: u.Address(), rtmp: u}.dial(t.Context(), 0, false)
	if err != nil || asked.Load() != 2 {
		t.Fatalf("asked %d times: %v", asked.Load(), err)
	}
	if err = unix.Close(v.fd); err != nil {
		t.Error(err)
	}
	asked.Store(0)
	u.Stream = "never"
	_, err = target{address: u.Address(), rtmp: u}.dial(t.Context(), 0, false)
	if err == nil || !strings.Contains(err.Error(), "Rejected") || asked.Load() != 1+maxRedirects {
		t.Errorf("a loop: asked %d times: %v", asked.Load(), err)
	}
}

// redirectPlayer serves a player until it goes: it plays, or is sent on to an address.
func redirectPlayer(c net.Conn, to func(*rtmp.Request) string) {
	defer c.Close()
	conn := rtmp.NewServerConn(rtmp.ServerConfig{})
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		for rest := b[:n]; len(rest) > 0; {
			k, ev, err := conn.Feed(rest)
			if err != nil {
				return
			}
			rest = rest[k:]
			if ev.Kind != rtmp.EventPlay {
				continue
			}
			if at := to(ev.Request); at != "" {
				conn.Redirect(at, "via=2", "full")
			} else {
				conn.AcceptPlay()
			}
		}
		if out := conn.Output(); len(out) > 0 {
			_, _ = c.Write(out)
			conn.Sent(len(out))
		}
	}
}

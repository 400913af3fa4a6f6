package glass

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"time"
)

//go:embed page/index.html page/page.js
var page embed.FS

// maxReport bounds what the page sends, in bytes: an hour of pictures.
const maxReport = 4 << 20

// watch opens the page in Chromium and waits for its report.
func watch(ctx context.Context, cfg Config) (*report, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, fmt.Errorf("glass: %w", err)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("glass: %w", err)
	}
	reports := make(chan *report, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) { take(w, r, reports) })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	seen, err := browse(ctx, "http://"+ln.Addr().String()+"/?"+cfg.query(), reports)
	cerr := srv.Close()
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return seen, errors.Join(err, cerr)
}

// take passes the page's first report on.
func take(w http.ResponseWriter, r *http.Request, reports chan<- *report) {
	seen := new(report)
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReport)).Decode(seen); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case reports <- seen:
	default:
	}
}

// query is what the page is told.
func (c Config) query() string {
	ms := func(d time.Duration) []string { return []string{strconv.FormatInt(d.Milliseconds(), 10)} }
	return url.Values{
		"url": {c.URL}, "assets": {c.Assets}, "player": {c.Player},
		"warmup": ms(c.Warmup), "duration": ms(c.Duration), "start": ms(startTimeout),
	}.Encode()
}

// browse runs Chromium on an address until there is a report.
func browse(ctx context.Context, address string, reports <-chan *report) (seen *report, err error) {
	profile, err := os.MkdirTemp("", "tmms-glass-")
	if err != nil {
		return nil, fmt.Errorf("glass: %w", err)
	}
	defer os.RemoveAll(profile)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--mute-audio", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-background-timer-throttling", "--disable-renderer-backgrounding",
		"--disable-backgrounding-occluded-windows", "--autoplay-policy=no-user-gesture-required", "--window-size=640,400",
		"--user-data-dir="+profile, address)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err = cmd.Start(); err != nil {
		return nil, fmt.Errorf("glass: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case seen = <-reports:
		cancel()
		<-ended //nolint:errcheck // by the signal
		return seen, nil
	case err = <-ended:
		return nil, fmt.Errorf("glass: chromium ended without a report: %w", errors.Join(err, ctx.Err()))
	}
}

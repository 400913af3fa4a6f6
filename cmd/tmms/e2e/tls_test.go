package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/cluster/certs/certstest"
)

// TestTLS publishes by RTMPS and plays by RTMPS, HTTPS-FLV and HLS over HTTPS,
// with ffmpeg; then the certificate is replaced while it plays.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files, err := certstest.Write(dir, "a", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	rtmps, https := freeAddr(t), freeAddr(t)
	s := startDev(t, "--set", "listen.rtmps="+rtmps, "--set", "listen.https="+https,
		"--set", "tls.certs="+files.Cert+":"+files.Key)
	p := push(t, "av.flv", "rtmps://"+rtmps+"/live/safe") // ffmpeg does not verify unless it is told to
	s.waitLive(t, "safe")
	var wg sync.WaitGroup
	for _, url := range []string{
		"rtmps://" + rtmps + "/live/safe", "https://" + https + "/live/safe.flv", "https://" + https + "/live/safe.m3u8",
	} {
		wg.Go(func() {
			got, err := decode(t, url, 5*time.Second)
			if err != nil {
				t.Error(err)
			}
			if got.video < 100 || got.audio < 150 {
				t.Errorf("%s: %d video and %d audio frames", url, got.video, got.audio)
			}
		})
	}
	wg.Wait()
	if code, err := getTrusting(t, files.Cert, "https://"+https+"/live/safe/live.m3u8"); code != http.StatusOK {
		t.Errorf("with the certificate as authority: %d, %v", code, err)
	}
	if _, err := certstest.Write(dir, "a", "localhost", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 40*time.Second, "the new certificate to be shown", func() bool {
		code, _ := getTrusting(t, files.Cert, "https://"+https+"/")
		return code == http.StatusOK
	})
	select {
	case <-p.exited:
		t.Errorf("the publisher ended when the certificate was replaced: %s", p.out)
	default:
	}
}

// getTrusting asks with a new connection, trusting nobody but the certificate.
func getTrusting(t *testing.T, certFile, url string) (int, error) {
	t.Helper()
	pem, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the file")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// TestTLSFaultsAreToldAtTheStart starts nodes whose TLS cannot work.
func TestTLSFaultsAreToldAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, errA := certstest.Write(dir, "a", "a")
	b, errB := certstest.Write(dir, "b", "b")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	for _, c := range []struct{ certs, want string }{
		{"", "needs a certificate: set tls.certs"},
		{a.Cert + ":" + b.Key, "private key does not match"},
		{a.Cert + ":" + dir + "/none", "no such file"},
	} {
		p := start(t, binary, "dev", "--rtmp", freeAddr(t), "--http", freeAddr(t), "--admin", freeAddr(t),
			"--set", "listen.https="+freeAddr(t), "--set", "tls.certs="+c.certs)
		select {
		case <-p.exited:
		case <-time.After(30 * time.Second):
			t.Fatalf("tls.certs=%q: the node runs", c.certs)
		}
		if p.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(p.out.String(), c.want) {
			t.Errorf("tls.certs=%q: exit %d, %q is not in\n%s", c.certs, p.cmd.ProcessState.ExitCode(), c.want, p.out)
		}
	}
}

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// transport is what secure.mjs reports.
type transport struct {
	Errors    []string            `json:"errors"`
	Played    float64             `json:"played"`    // seconds of media
	Protocols map[string][]string `json:"protocols"` // by the ending of what was asked for
}

// browseSecure plays a page over HTTPS in Chromium.
func browseSecure(t *testing.T, page string, seconds int, protocol, spki string) transport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	out, err := node(ctx, "secure.mjs", page, strconv.Itoa(seconds), protocol, spki)
	if err != nil {
		t.Fatal(err)
	}
	var r transport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// TestBrowserOverHTTPS plays the watch page with hls.js over HTTP/2 and HTTP/3,
// and with mpegts.js over HTTP/2.
func TestBrowserOverHTTPS(t *testing.T) {
	t.Parallel()
	cert, key, spki := ownCertificate(t)
	at := freeAddr(t)
	s := startDev(t, "--set", "listen.https="+at, "--set", "tls.certs="+cert+":"+key)
	push(t, "av.flv", s.pushURL("web"))
	s.waitPlaylist(t, "web", 3)
	for _, c := range []struct{ protocol, by, ending string }{
		{"h2", "hls", ".ts"}, {"h3", "hls", ".ts"}, {"h2", "flv", ".flv"},
	} {
		t.Run(c.protocol+" "+c.by, func(t *testing.T) {
			q := url.Values{"stream": {"live/web"}, "by": {c.by}}
			r := browseSecure(t, "https://"+at+"/?"+q.Encode(), 4, c.protocol, spki)
			if r.Played < 4 || len(r.Errors) > 0 {
				t.Errorf("played %.1f s: %q", r.Played, r.Errors)
			}
			want := []string{"/", ".js", c.ending}
			if c.ending == ".flv" {
				want = want[:2] // an answer without an end has no entry yet
			} else {
				want = append(want, ".m3u8")
			}
			for _, kind := range want {
				if !slices.Equal(r.Protocols[kind], []string{c.protocol}) {
					t.Errorf("%s came by %q, want %s", kind, r.Protocols[kind], c.protocol)
				}
			}
		})
	}
}

// ownCertificate writes a certificate for 127.0.0.1 that no authority has signed;
// spki is the hash of its key by which Chromium is made to take it.
func ownCertificate(t *testing.T) (certFile, keyFile, spki string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(public)
	return certFile, keyFile, base64.StdEncoding.EncodeToString(sum[:])
}

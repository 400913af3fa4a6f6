package certs_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tmms/cluster/certs"
	"tmms/cluster/certs/certstest"
	"tmms/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, dir, name string, names ...string) certs.Files {
	t.Helper()
	f, err := certstest.Write(dir, name, names...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func load(t *testing.T, files ...certs.Files) *certs.Store {
	t.Helper()
	s, err := certs.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are those of the certificate that a client gets who asks for a name.
func names(t *testing.T, s *certs.Store, sni string) []string {
	t.Helper()
	cert, err := s.Get(&tls.ClientHelloInfo{
		ServerName: sni, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf.DNSNames
}

func TestTheNameChoosesTheCertificate(t *testing.T) {
	dir := t.TempDir()
	s := load(t, write(t, dir, "first", "first.example"), write(t, dir, "wild", "*.example.com", "example.com"),
		write(t, dir, "exact", "live.example.com"), write(t, dir, "upper", "UPPER.example"))
	for sni, want := range map[string]string{
		"":                   "first.example",
		"first.example":      "first.example",
		"unknown.example":    "first.example",
		"example.com":        "*.example.com",
		"a.example.com":      "*.example.com",
		"A.Example.COM.":     "*.example.com",
		"a.b.example.com":    "first.example", // a wildcard is one label
		"live.example.com":   "live.example.com",
		"x.live.example.com": "first.example",
		"upper.example":      "UPPER.example",
		"com":                "first.example",
	} {
		if got := names(t, s, sni); !slices.Contains(got, want) {
			t.Errorf("%q gets the certificate of %v, want %s", sni, got, want)
		}
	}
}

func TestFaultsAreToldAllAtOnceWithTheirFiles(t *testing.T) {
	dir := t.TempDir()
	good, other := write(t, dir, "good", "a"), write(t, dir, "other", "b")
	text := filepath.Join(dir, "text")
	big := filepath.Join(dir, "big")
	for name, size := range map[string]int{text: 10, big: media.MaxTLSFile + 1} {
		if err := os.WriteFile(name, []byte(strings.Repeat("x", size)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := certs.Load([]certs.Files{
		good,
		{Cert: good.Cert, Key: other.Key},
		{Cert: text, Key: good.Key},
		{Cert: good.Key, Key: good.Cert},
		{Cert: filepath.Join(dir, "none"), Key: good.Key},
		{Cert: big, Key: good.Key},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"certificate 2: " + good.Cert + " with " + other.Key + ": private key does not match public key",
		"certificate 3: " + text, "certificate 4: " + good.Key,
		"none: no such file", big + ": the file has more than 262144 bytes",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if f, ok := errors.AsType[*certs.FileError](err); !ok || f.Index != 1 {
		t.Errorf("first fault %+v", f)
	}
	if _, err := certs.Load(nil); err == nil {
		t.Error("a store without certificates")
	}
}

func TestWarnings(t *testing.T) {
	s := load(t, write(t, t.TempDir(), "a", "a"))
	if w := s.Warnings(time.Now()); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
	if w := s.Warnings(time.Now().Add(48 * time.Hour)); len(w) != 1 || !strings.Contains(w[0], "ended at") {
		t.Errorf("warnings %q", w)
	}
	if w := s.Warnings(time.Now().Add(-48 * time.Hour)); len(w) != 1 || !strings.Contains(w[0], "begins at") {
		t.Errorf("warnings %q", w)
	}
}

func TestNewFilesAreTakenAndBadOnesAreNot(t *testing.T) {
	dir := t.TempDir()
	f := write(t, dir, "a", "old.example")
	s := load(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx, time.Millisecond, func(err error) { told <- err })
	}()
	await := func(ok bool) {
		t.Helper()
		for {
			select {
			case err := <-told:
				if (err == nil) == ok {
					return // between two writes the files do not fit together
				}
			case <-time.After(30 * time.Second):
				t.Fatal("nothing is told")
			}
		}
	}
	if err := os.WriteFile(f.Cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(false)
	if got := names(t, s, ""); got[0] != "old.example" {
		t.Errorf("after a bad file the certificate is for %v", got)
	}
	write(t, dir, "a", "new.example")
	await(true)
	if got := names(t, s, ""); got[0] != "new.example" {
		t.Errorf("after a good file the certificate is for %v", got)
	}
	cancel()
	<-done
}

func TestListenerHasAConnThatClosesWithoutWaiting(t *testing.T) {
	s := load(t, write(t, t.TempDir(), "a", "localhost"))
	raw, lerr := net.Listen("tcp", "127.0.0.1:0")
	if lerr != nil {
		t.Fatal(lerr)
	}
	ln := certs.Listen(raw, s.TLS())
	defer ln.Close()
	client := make(chan error, 1)
	go func() {
		c, err := tls.Dial("tcp", raw.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			_, err = c.Write([]byte("hello"))
			_, _ = c.Read(make([]byte, 1)) // it ends
			_ = c.Close()
		}
		client <- err
	}()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := nc.Read(b); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
	if _, ok := nc.(interface{ CloseWrite() error }); !ok {
		t.Error("no CloseWrite: a refused peer could not be told")
	}
	nc.Close()
	if err := <-client; err != nil {
		t.Error(err)
	}
}

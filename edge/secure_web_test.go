package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/edge/viewer"
)

// selfSigned makes a certificate for 127.0.0.1 and the pool that trusts it.
func selfSigned(tb testing.TB) (*tls.Config, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, roots
}

// secureNode is a node with HTTP/2 behind a listener of the test's own.
type secureNode struct {
	*node
	client *http.Client
	base   string
}

func startSecureNode(tb testing.TB) *secureNode {
	tb.Helper()
	config, roots := selfSigned(tb)
	n := startNode(tb, func(c *Config, d *Deps) { c.HTTPS, d.TLS = "127.0.0.1:0", config })
	offer := config.Clone()
	offer.NextProtos = []string{"h2"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", offer)
	if err != nil {
		tb.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			group.Go(func() {
				if t, ok := c.(*tls.Conn); !ok || t.HandshakeContext(context.Background()) != nil {
					c.Close()
					return
				}
				n.edge.https.server.ServeConn(c)
			})
		}
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Protocols: protocols,
	}
	tb.Cleanup(func() {
		ln.Close()
		transport.CloseIdleConnections()
	})
	return &secureNode{node: n, client: &http.Client{Transport: transport}, base: "https://" + ln.Addr().String()}
}

func (n *secureNode) fetch(path string) *http.Response {
	n.tb.Helper()
	r, err := http.NewRequestWithContext(n.tb.Context(), http.MethodGet, n.base+path, http.NoBody)
	if err != nil {
		n.tb.Fatal(err)
	}
	resp, err := n.client.Do(r)
	if err != nil {
		n.tb.Fatal(err)
	}
	return resp
}

// Viewers over HTTP/2 are listed and counted as others are, and the node ends
// with them.
func TestSecureWebViewersAreListed(t *testing.T) {
	n := startSecureNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	p.w.PublishIndex(index(3, 100, 1, false))
	resp := n.fetch("/live/test.flv")
	defer resp.Body.Close()
	_, port, _ := strings.Cut(n.edge.Addrs().HTTP3.String(), ":")
	if resp.ProtoMajor != 2 || resp.Header.Get("Alt-Svc") != `h3=":`+port+`"; ma=3600` {
		t.Errorf("%s %v", resp.Proto, resp.Header)
	}
	list := n.fetch("/live/test/live.m3u8")
	defer list.Body.Close()
	if list.StatusCode != http.StatusOK {
		t.Errorf("playlist: %s", list.Status)
	}
	var infos []Info
	eventually(t, "both viewers are listed", func() bool {
		var err error
		if infos, err = n.edge.Viewers(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		return len(infos) == 2 && infos[1].Sent > 0
	})
	hls, flv := infos[0], infos[1]
	if hls.Proto != "hls" || flv.Proto != "flv" || flv.State != "playing" || flv.Key != testKey("live", "test") ||
		flv.Remote.Addr().String() != "127.0.0.1" || flv.Remote.Port() == 0 {
		t.Errorf("%+v", infos)
	}
	if h2, h3 := n.edge.https.server.Conns(); h2 != 1 || h3 != 0 {
		t.Errorf("%d connections of HTTP/2, %d of HTTP/3", h2, h3)
	}
}

func TestSecureWebDrain(t *testing.T) {
	n := startSecureNode(t)
	p := n.publish(testKey("live", "test"))
	p.group()
	resp := n.fetch("/live/test.flv")
	defer resp.Body.Close()
	eventually(t, "it plays", func() bool { return n.viewers() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := n.edge.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the answer ends with %v", err)
	}
	eventually(t, "it is counted", func() bool { return n.edge.gate.EndedBy(viewer.ReasonDrain) == 1 })
}

func TestHTTPSNeedsCertificates(t *testing.T) {
	_, err := New(Config{HTTPS: "127.0.0.1:0", Loops: 1}, Deps{Apps: newApps(t)})
	if !errors.Is(err, errNoTLS) {
		t.Errorf("HTTPS without certificates: %v", err)
	}
}

// A node that is not run gives its sockets back.
func TestSecureWebCloseWithoutRun(t *testing.T) {
	config, _ := selfSigned(t)
	e, err := New(Config{HTTPS: "127.0.0.1:0", Loops: 1}, Deps{Apps: newApps(t), TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	at := e.Addrs().HTTP3.String()
	if _, err = New(Config{HTTPS: at, Loops: 1}, Deps{Apps: newApps(t), TLS: config}); err == nil {
		t.Error("two nodes on one UDP port")
	}
	if err = e.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(Config{HTTPS: at, Loops: 1}, Deps{Apps: newApps(t), TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

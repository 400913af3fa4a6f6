package pki

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tmms/media"
)

func newCA(t *testing.T) *CA {
	t.Helper()
	ca, err := NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// issue makes an identity that trusts the CA bundle, that of ca if there is none.
func issue(t *testing.T, ca *CA, name string, bundle ...[]byte) *Identity {
	t.Helper()
	certPEM, keyPEM, err := ca.Issue(name, []string{RoleOrigin, RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return identity(t, certPEM, keyPEM, append(bundle, ca.CertPEM())...)
}

func identity(t *testing.T, certPEM, keyPEM []byte, cas ...[]byte) *Identity {
	t.Helper()
	id, err := NewIdentity(certPEM, keyPEM, bytes.Join(cas, nil))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// shake makes a TLS handshake and gives what each end thinks of it.
func shake(t *testing.T, client, server *tls.Config) (state tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	srv := tls.Server(b, server)
	go func() {
		err := srv.HandshakeContext(ctx)
		b.Close()
		done <- err
	}()
	cl := tls.Client(a, client)
	if clientErr = cl.HandshakeContext(ctx); clientErr == nil {
		_, _ = cl.Read(make([]byte, 1)) // the server's verdict
	}
	a.Close()
	serverErr = <-done
	return srv.ConnectionState(), clientErr, serverErr
}

func TestHandshake(t *testing.T) {
	ca := newCA(t)
	a, b := issue(t, ca, "a"), issue(t, ca, "b.example-1_x")
	state, clientErr, serverErr := shake(t, a.TLS("x"), b.TLS("y", "x"))
	if clientErr != nil || serverErr != nil {
		t.Fatalf("client %v, server %v", clientErr, serverErr)
	}
	peer, err := PeerOf(state)
	if err != nil || peer.Name != "a" || !peer.Has(RoleOrigin) || !peer.Has(RoleEdge) || peer.Has(RoleClient) {
		t.Errorf("peer %s: %v", peer, err)
	}
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "x" || state.DidResume {
		t.Errorf("version %x, protocol %q, resumed %v", state.Version, state.NegotiatedProtocol, state.DidResume)
	}
	if a.CAFingerprint() != b.CAFingerprint() || len(a.CAFingerprint()) != 64 {
		t.Errorf("CA fingerprints %q and %q", a.CAFingerprint(), b.CAFingerprint())
	}
	if got := b.Name(); got != "b.example-1_x" {
		t.Errorf("name %q", got)
	}
	if until := time.Until(a.NotAfter()); until < 364*24*time.Hour || until > 367*24*time.Hour {
		t.Errorf("the certificate lives %s", until)
	}
}

// signed makes a node's certificate from URIs, as [CA.Issue] would not.
func signed(t *testing.T, ca *CA, now time.Time, uris ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	var all []*url.URL
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	certPEM, keyPEM, err := ca.sign("x", all, now)
	if err != nil {
		t.Fatal(err)
	}
	return certPEM, keyPEM
}

// rogue is a TLS config that shows a certificate and believes everything.
func rogue(t *testing.T, certPEM, keyPEM []byte) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, NextProtos: []string{"x"}, ClientAuth: tls.RequestClientCert,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
}

func TestRefusals(t *testing.T) {
	old, err := NewCA(time.Now().AddDate(-5, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	other, now := newCA(t), time.Now()
	good := issue(t, old, "good")
	const node, role = "tmms://node/n1", "tmms://role/edge"
	for _, tc := range []struct {
		name   string
		ca     *CA
		at     time.Time
		uris   []string
		reason error
	}{
		{"accepted", old, now, []string{node, role}, nil},
		{"backdated", old, now.Add(50 * time.Minute), []string{node, role}, nil},
		{"future-role-too", old, now, []string{node, "tmms://role/archive", role}, nil},
		{"foreign-uri-too", old, now, []string{"spiffe://x/y", node, role}, nil},
		{"wrong-ca", other, now, []string{node, role}, ErrUntrusted},
		{"expired", old, now.AddDate(-2, 0, 0), []string{node, role}, ErrExpired},
		{"not-yet", old, now.Add(2 * time.Hour), []string{node, role}, ErrNotYetValid},
		{"no-uri", old, now, nil, ErrNoName},
		{"no-name", old, now, []string{role}, ErrNoName},
		{"two-names", old, now, []string{node, "tmms://node/n2", role}, ErrNoName},
		{"empty-name", old, now, []string{"tmms://node/", role}, ErrNoName},
		{"path-name", old, now, []string{"tmms://node/a/b", role}, ErrNoName},
		{"dot-name", old, now, []string{"tmms://node/..", role}, ErrNoName},
		{"no-role", old, now, []string{node}, ErrNoRole},
		{"unknown-role", old, now, []string{node, "tmms://role/root"}, ErrNoRole},
	} {
		t.Run(tc.name, func(t *testing.T) {
			certPEM, keyPEM := signed(t, tc.ca, tc.at, tc.uris...)
			bad := rogue(t, certPEM, keyPEM)
			_, _, asServer := shake(t, bad, good.TLS("x"))
			_, asClient, _ := shake(t, good.TLS("x"), bad)
			for side, err := range map[string]error{"server": asServer, "client": asClient} {
				if !errors.Is(err, tc.reason) {
					t.Errorf("%s: %v, want %v", side, err, tc.reason)
				}
				var p *PeerError
				if tc.reason != nil && !errors.As(err, &p) {
					t.Errorf("%s: %T is no PeerError", side, err)
				}
			}
		})
	}
	t.Run("no-certificate", func(t *testing.T) {
		_, _, err := shake(t, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"x"}}, good.TLS("x"))
		if err == nil {
			t.Error("a client without a certificate was let in")
		}
	})
	t.Run("tls-1.2", func(t *testing.T) {
		cfg := good.TLS("x")
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if _, _, err := shake(t, cfg, good.TLS("x")); err == nil {
			t.Error("TLS 1.2 was taken")
		}
	})
	t.Run("expired-ca", func(t *testing.T) {
		dead, err := NewCA(now.AddDate(-11, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = dead.Issue("n1", []string{RoleEdge}, now); err == nil {
			t.Error("a CA that has ended signs")
		}
		certPEM, _, err := dead.Issue("n1", []string{RoleEdge}, now.AddDate(-10, -2, 0))
		if err != nil {
			t.Fatal(err)
		}
		certs, err := parseCerts(certPEM)
		if err != nil {
			t.Fatal(err)
		}
		if end := certs[0].NotAfter; end.After(now.AddDate(-1, 0, 1)) {
			t.Errorf("the certificate ends at %s, after its CA", end)
		}
	})
}

func TestNames(t *testing.T) {
	ca := newCA(t)
	for name, ok := range map[string]bool{
		"n1": true, "N-1_a.b": true, strings.Repeat("a", media.MaxNodeName): true,
		"": false, strings.Repeat("a", media.MaxNodeName+1): false, "-a": false, ".a": false, "a b": false,
		"a/b": false, "a\x00": false, "ä": false, "a\n": false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("name %q: %v", name, err)
		}
		if _, _, err := ca.Issue(name, []string{RoleEdge}, time.Now()); (err == nil) != ok {
			t.Errorf("issue for %q: %v", name, err)
		}
	}
	for _, roles := range [][]string{nil, {"root"}, {RoleEdge, RoleEdge}, {""}} {
		if _, _, err := ca.Issue("n1", roles, time.Now()); err == nil {
			t.Errorf("roles %q were taken", roles)
		}
	}
}

func TestLoadCA(t *testing.T) {
	a, b := newCA(t), newCA(t)
	bundle := append(b.CertPEM(), a.CertPEM()...)
	loaded, err := LoadCA(bundle, a.KeyPEM())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(loaded.CertPEM(), a.CertPEM()) || !bytes.Equal(loaded.KeyPEM(), a.KeyPEM()) {
		t.Error("another CA than the key's")
	}
	certPEM, keyPEM, err := a.Issue("n1", []string{RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ cert, key []byte }{
		"other-key": {b.CertPEM(), a.KeyPEM()},
		"no-ca":     {certPEM, keyPEM},
		"no-cert":   {nil, a.KeyPEM()},
		"no-key":    {a.CertPEM(), nil},
		"swapped":   {a.KeyPEM(), a.CertPEM()},
		"garbage":   {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), a.KeyPEM()},
		"huge":      {bytes.Repeat([]byte{'x'}, media.MaxCertificateFile+1), a.KeyPEM()},
	} {
		if _, err := LoadCA(tc.cert, tc.key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNewIdentityRefuses(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	certPEM, keyPEM, err := ca.Issue("n1", []string{RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := ca.Issue("n2", []string{RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewIdentity(certPEM, otherKey, ca.CertPEM()); err == nil {
		t.Error("the key of another certificate was taken")
	}
	if _, err := NewIdentity(certPEM, keyPEM, other.CertPEM()); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a certificate of another CA: %v", err)
	}
	nameless, namelessKey := signed(t, ca, time.Now(), "tmms://role/edge")
	if _, err := NewIdentity(nameless, namelessKey, ca.CertPEM()); !errors.Is(err, ErrNoName) {
		t.Errorf("a certificate without a name: %v", err)
	}
}

// files puts an identity into a folder, each file at once, and gives its paths.
func files(t *testing.T, dir string, certPEM, keyPEM, caPEM []byte) (cert, key, ca string) {
	t.Helper()
	cert, key, ca = filepath.Join(dir, "n.crt"), filepath.Join(dir, "n.key"), filepath.Join(dir, "ca.crt")
	texts := [][]byte{caPEM, certPEM, keyPEM}
	for i, name := range []string{ca, cert, key} {
		if err := os.WriteFile(name+"~", texts[i], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+"~", name); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, ca
}

// TestReload replaces a CA while nodes meet: bundle first, certificates next,
// the old CA away at last; and then no longer with it.
func TestReload(t *testing.T) {
	before, after := newCA(t), newCA(t)
	both := append(before.CertPEM(), after.CertPEM()...)
	roles := []string{RoleEdge}
	dir := t.TempDir()
	certPEM, keyPEM, err := before.Issue("n1", roles, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n1, err := LoadIdentity(files(t, dir, certPEM, keyPEM, before.CertPEM()))
	if err != nil {
		t.Fatal(err)
	}
	server, client := n1.TLS("x"), n1.TLS("x") // as they are kept by a listener
	meet := func(peer *Identity) error {
		_, _, asServer := shake(t, peer.TLS("x"), server)
		_, asClient, _ := shake(t, client, peer.TLS("x"))
		return errors.Join(asServer, asClient)
	}
	old, renewed := issue(t, before, "old", both), issue(t, after, "renewed", both)
	if err = meet(old); err != nil {
		t.Errorf("before: %v", err)
	}
	if err = meet(renewed); !errors.Is(err, ErrUntrusted) {
		t.Errorf("the new CA is trusted early: %v", err)
	}
	fingerprint := n1.CAFingerprint()
	files(t, dir, certPEM, keyPEM, both)
	if err = n1.Reload(); err != nil {
		t.Fatal(err)
	}
	if err = errors.Join(meet(old), meet(renewed)); err != nil {
		t.Errorf("overlap: %v", err)
	}
	if n1.CAFingerprint() != fingerprint {
		t.Error("the fingerprint changed with the bundle")
	}
	certPEM, keyPEM, err = after.Issue("n1", []string{RoleOrigin}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files(t, dir, certPEM, keyPEM, after.CertPEM())
	if err = n1.Reload(); err != nil {
		t.Fatal(err)
	}
	if err = meet(renewed); err != nil {
		t.Errorf("after: %v", err)
	}
	if err = meet(old); !errors.Is(err, ErrUntrusted) {
		t.Errorf("the old CA is still trusted: %v", err)
	}
	if n1.CAFingerprint() == fingerprint || n1.Roles()[0] != RoleOrigin {
		t.Errorf("fingerprint %s, roles %q", n1.CAFingerprint(), n1.Roles())
	}

	other, otherKey, err := after.Issue("n2", roles, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ cert, key []byte }{
		"another name": {other, otherKey}, "broken": {[]byte("x"), keyPEM}, "half": {other, keyPEM},
	} {
		files(t, dir, tc.cert, tc.key, after.CertPEM())
		if err := n1.Reload(); err == nil {
			t.Errorf("%s: reloaded", name)
		}
		if err := meet(renewed); err != nil || n1.Name() != "n1" {
			t.Errorf("%s: the identity in force was lost: %v", name, err)
		}
	}
	if err := renewed.Reload(); err != nil {
		t.Errorf("one that is not from files: %v", err)
	}
	if _, err := LoadIdentity(filepath.Join(dir, "none"), "", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestFollow: new files are taken by themselves; faults are told once.
func TestFollow(t *testing.T) {
	ca := newCA(t)
	dir := t.TempDir()
	write := func(name string) {
		certPEM, keyPEM, err := ca.Issue(name, []string{RoleEdge}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		files(t, dir, certPEM, keyPEM, ca.CertPEM())
	}
	write("n1")
	id, err := LoadIdentity(filepath.Join(dir, "n.crt"), filepath.Join(dir, "n.key"), filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan error, 100), make(chan struct{})
	go func() {
		id.Follow(ctx, time.Millisecond, func(err error) { told <- err })
		close(done)
	}()
	secret, err := id.Secret("x")
	if err != nil {
		t.Fatal(err)
	}
	write("n1")
	for err = <-told; err != nil; err = <-told { // it may see a key without its certificate
		continue
	}
	if anew, bad := id.Secret("x"); bad != nil || anew == secret {
		t.Errorf("the key is the old one: %v", bad)
	}
	write("n2")
	for err = <-told; err == nil || !strings.Contains(err.Error(), "n2"); err = <-told {
		continue
	}
	<-time.After(20 * time.Millisecond) // of ticks that find the same fault
	cancel()
	<-done
	if len(told) > 0 {
		t.Errorf("told again: %v", <-told)
	}
	if id.Name() != "n1" {
		t.Errorf("the node is now %q", id.Name())
	}
	(&Identity{}).Follow(t.Context(), time.Millisecond, nil) // not from files: it returns
}

func TestBundle(t *testing.T) {
	a, b := newCA(t), newCA(t)
	split, err := SplitCerts(append(a.CertPEM(), b.CertPEM()...))
	if err != nil || len(split) != 2 || !bytes.Equal(split[0], a.CertPEM()) || !bytes.Equal(split[1], b.CertPEM()) {
		t.Errorf("%d certificates: %v", len(split), err)
	}
	if _, err = SplitCerts([]byte("x")); err == nil {
		t.Error("a bundle of nothing")
	}
	certPEM, _, err := a.Issue("n1", []string{RoleOrigin, RoleEdge}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !a.Signed(certPEM) || b.Signed(certPEM) || a.Signed(nil) {
		t.Error("who has signed?")
	}
	if p, bad := ParsePeer(certPEM); bad != nil || p.String() != "n1[edge origin]" {
		t.Errorf("%s: %v", p, bad)
	}
	if _, err = ParsePeer(nil); err == nil {
		t.Error("no certificate names a node")
	}
}

func TestSecret(t *testing.T) {
	ca := newCA(t)
	a, b := issue(t, ca, "a"), issue(t, ca, "b")
	secret := func(id *Identity, label string) [32]byte {
		s, err := id.Secret(label)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if again := secret(a, "x"); again != secret(a, "x") || secret(a, "x") == secret(a, "y") || secret(a, "x") == secret(b, "x") {
		t.Error("a secret is of one node and one label, and stays")
	}
}

func TestGossipKey(t *testing.T) {
	a, err := NewGossipKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewGossipKey()
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(a); err != nil || len(raw) != 32 || a == b {
		t.Errorf("keys %q and %q: %v", a, b, err)
	}
}

// FuzzPeer: no certificate may panic, and what is accepted has a name and a role.
func FuzzPeer(f *testing.F) {
	for _, seed := range []string{
		"tmms://node/n1 tmms://role/edge", "tmms://node/ tmms://role/", "tmms://node/a/b", "tmms:node/a",
		"tmms://role/edge tmms://role/origin tmms://node/x", "https://node/a", "tmms://node/%2e%2e tmms://role/edge",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cert := &x509.Certificate{}
		for field := range strings.FieldsSeq(text) {
			if u, err := url.Parse(field); err == nil {
				cert.URIs = append(cert.URIs, u)
			}
		}
		p, err := peerOf(cert)
		if err != nil {
			return
		}
		if CheckName(p.Name) != nil || len(p.Roles) > media.MaxNodeRoles || !p.Has(RoleOrigin) && !p.Has(RoleEdge) && !p.Has(RoleClient) {
			t.Errorf("%q gives %s", text, p)
		}
	})
}

package pki

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tmms/media"
)

// Identity is a node's certificate and key, with the CAs that it trusts. It may
// be used from any goroutine. After [Identity.Reload] new handshakes use the
// new files, and after [Identity.Revoke] the new list; [Identity.Trusts] tells
// which sessions have to end.
type Identity struct {
	// Set at construction.
	certFile, keyFile, caFile string // "" for one that was not loaded from files

	reloadMu sync.Mutex // one Reload at a time
	current  atomic.Pointer[material]
	revoked  atomic.Pointer[revocations] // nil: none
}

// material is what the three files say; it is not modified.
type material struct {
	cert  tls.Certificate
	key   *ecdsa.PrivateKey
	peer  Peer
	roots *x509.CertPool
	cas   []*x509.Certificate // those of roots
	ca    *x509.Certificate   // the one that signed cert
	top   *x509.Certificate   // the one that signed ca, or else ca
	files [32]byte            // checksum of the files, if they were any
}

// NewIdentity takes a node's certificate and key, and the CA certificates that
// it trusts, its own among them. It does not look at the time: a certificate
// that has ended is for the peers to refuse, see [Identity.NotAfter].
func NewIdentity(certPEM, keyPEM, caPEM []byte) (*Identity, error) {
	m, err := newMaterial(certPEM, keyPEM, caPEM)
	if err != nil {
		return nil, err
	}
	id := &Identity{}
	id.current.Store(m)
	return id, nil
}

// LoadIdentity is [NewIdentity] from files, which [Identity.Reload] reads again.
func LoadIdentity(certFile, keyFile, caFile string) (*Identity, error) {
	id := &Identity{certFile: certFile, keyFile: keyFile, caFile: caFile}
	m, err := id.read()
	if err != nil {
		return nil, err
	}
	id.current.Store(m)
	return id, nil
}

func newMaterial(certPEM, keyPEM, caPEM []byte) (*material, error) {
	certs, err := parseCerts(certPEM)
	if err != nil {
		return nil, fmt.Errorf("pki: certificate: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("pki: key: %w", err)
	}
	cas, err := parseCerts(caPEM)
	if err != nil {
		return nil, fmt.Errorf("pki: CA: %w", err)
	}
	leaf := certs[0]
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, errors.New("pki: the key does not belong to the certificate")
	}
	m := &material{
		cert: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		key:  key, roots: x509.NewCertPool(), cas: cas,
	}
	for _, ca := range cas {
		m.roots.AddCert(ca)
	}
	if m.peer, err = m.verify(leaf, leaf.NotBefore); err != nil {
		return nil, err
	}
	m.ca = signerOf(cas, leaf)
	if m.top = signerOf(cas, m.ca); m.top == nil {
		m.top = m.ca
	}
	return m, nil
}

// signerOf finds the CA that signed a certificate; nil if it is not among them.
func signerOf(cas []*x509.Certificate, cert *x509.Certificate) *x509.Certificate {
	for _, ca := range cas {
		if bytes.Equal(ca.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// verify tells who holds the certificate, or why it is refused at the time now.
func (m *material) verify(cert *x509.Certificate, now time.Time) (Peer, error) {
	peer, peerErr := peerOf(cert)
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: m.roots, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil { // first: what an untrusted certificate claims is of no interest
		return Peer{}, refusal(peer.Name, cert, now, err)
	}
	if peerErr != nil {
		return peer, peerErr
	}
	for _, chain := range chains {
		if err = mayIssue(chain[min(1, len(chain)-1)], peer); err == nil {
			return peer, nil
		}
	}
	return Peer{}, err
}

// refusal sorts out why x509 has refused a certificate.
func refusal(name string, cert *x509.Certificate, now time.Time, err error) error {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return &PeerError{Name: name, Reason: ErrUntrusted, Detail: "issuer " + cert.Issuer.String() + ": " + err.Error()}
	}
	at := now.UTC().Format(time.RFC3339)
	if now.Before(cert.NotBefore) {
		return &PeerError{Name: name, Reason: ErrNotYetValid, Detail: fmt.Sprintf(
			"begins at %s, it is %s here", cert.NotBefore.UTC().Format(time.RFC3339), at)}
	}
	return &PeerError{Name: name, Reason: ErrExpired, Detail: fmt.Sprintf(
		"%s, ended at %s, it is %s here", cert.Subject, cert.NotAfter.UTC().Format(time.RFC3339), at)}
}

// read makes the material from the files.
func (id *Identity) read() (*material, error) {
	var text [3][]byte
	for i, name := range []string{id.certFile, id.keyFile, id.caFile} {
		b, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("pki: %w", err)
		}
		text[i] = b
	}
	m, err := newMaterial(text[0], text[1], text[2])
	if err != nil {
		return nil, fmt.Errorf("%w (files %s, %s, %s)", err, id.certFile, id.keyFile, id.caFile)
	}
	m.files = sha256.Sum256(bytes.Join(text[:], []byte{0}))
	return m, nil
}

// readFile reads at most one byte more than a file of this kind may have.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, media.MaxCertificateFile+1))
}

// Reload reads the files again. If they are wrong, or name another node,
// the old identity stays in force. One that was not loaded from files stays as
// it is.
func (id *Identity) Reload() error {
	if id.certFile == "" {
		return nil
	}
	_, err := id.refresh()
	return err
}

// refresh is Reload that says whether anything has changed.
func (id *Identity) refresh() (changed bool, err error) {
	id.reloadMu.Lock()
	defer id.reloadMu.Unlock()
	m, err := id.read()
	if err != nil {
		return false, err
	}
	if m.files == id.current.Load().files {
		return false, nil
	}
	if m.peer.Name != id.Name() {
		return false, fmt.Errorf("pki: reload: the certificate is now for %q, this node is %q", m.peer.Name, id.Name())
	}
	id.current.Store(m)
	return true, nil
}

// Follow reloads when the files have changed, which it looks at every interval,
// until ctx ends. told gets the outcome: nil for a reload, and an error once
// for as long as it is the same.
func (id *Identity) Follow(ctx context.Context, interval time.Duration, told func(error)) {
	if id.certFile == "" {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := id.refresh()
		if err == nil {
			last = ""
			if changed {
				told(nil)
			}
		} else if err.Error() != last {
			last = err.Error()
			told(err)
		}
	}
}

// Name is the node's name.
func (id *Identity) Name() string { return id.current.Load().peer.Name }

// Roles are the node's roles, ordered; do not modify.
func (id *Identity) Roles() []string { return id.current.Load().peer.Roles }

// Serial is the serial number of the node's certificate.
func (id *Identity) Serial() string { return id.current.Load().peer.Serial }

// Peer is how others see this node.
func (id *Identity) Peer() Peer { return id.current.Load().peer }

// NotAfter is when the node's certificate ends.
func (id *Identity) NotAfter() time.Time { return id.current.Load().cert.Leaf.NotAfter }

// CAFingerprint is the SHA-256, in hex, of the CA certificate that signed the
// node's, or the CA that it has from: equal for all nodes of a cluster except while
// its CA is replaced.
func (id *Identity) CAFingerprint() string {
	return fingerprint(id.current.Load().top)
}

// Secret derives 32 bytes from the node's private key that only it can know,
// another for each label. They change with the key.
func (id *Identity) Secret(label string) ([32]byte, error) {
	var secret [32]byte
	der, err := id.current.Load().key.Bytes()
	if err != nil {
		return secret, fmt.Errorf("pki: secret: %w", err)
	}
	b, err := hkdf.Key(sha256.New, der, nil, "tmms "+label, len(secret))
	if err != nil {
		return secret, fmt.Errorf("pki: secret: %w", err)
	}
	copy(secret[:], b)
	return secret, nil
}

// Trusts tells whether a peer whose certificate was accepted earlier would be
// trusted by the CAs and revocations in force now; the refusal is a [PeerError]. It does not look
// at the time: a cluster must not fall apart in the minute in which its
// certificates end, it only takes no new sessions.
func (id *Identity) Trusts(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return &PeerError{Reason: ErrNoCertificate}
	}
	cert := cs.PeerCertificates[0]
	return id.check(cert, cert.NotBefore)
}

// check says why a certificate is refused at the time now, by its chain, what it
// says or the revocations.
func (id *Identity) check(cert *x509.Certificate, now time.Time) error {
	peer, err := id.current.Load().verify(cert, now)
	if err != nil {
		return err
	}
	return id.revoked.Load().check(peer)
}

// TLS is the configuration of both ends of a connection between nodes: TLS 1.3,
// each shows its certificate, and each verifies the other's with the CAs, the
// revocations and the time of that moment. A refusal is a [PeerError]. There are no tickets, so
// no session goes on with what was verified earlier.
func (id *Identity) TLS(alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             alpn,
		SessionTicketsDisabled: true,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // not by host name: VerifyConnection does it
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &id.current.Load().cert, nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &id.current.Load().cert, nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return &PeerError{Reason: ErrNoCertificate}
			}
			return id.check(cs.PeerCertificates[0], time.Now())
		},
	}
}

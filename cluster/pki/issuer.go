package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tmms/media"
)

// issuerYears is how long an issuer lives.
const issuerYears = 1

// NewIssuer makes a CA that may give certificates with the roles given, and no others,
// for a year; whoever trusts this CA has to be given its certificate too.
func (ca *CA) NewIssuer(roles []string, now time.Time) (*CA, error) {
	if err := CheckRoles(roles); err != nil {
		return nil, err
	}
	if !now.Before(ca.cert.NotAfter) || len(issues(ca.cert)) > 0 {
		return nil, fmt.Errorf("pki: %s has ended or is an issuer itself", ca.cert.Subject)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: new issuer key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("tmms issuer %x", serial.Bytes()[:4])},
		NotBefore:             later(now.Add(-backdate), ca.cert.NotBefore),
		NotAfter:              earlier(now.AddDate(issuerYears, 0, 0), ca.cert.NotAfter),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	for _, role := range roles {
		template.URIs = append(template.URIs, &url.URL{Scheme: scheme, Host: hostIssues, Path: "/" + role})
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("pki: sign an issuer: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("pki: parse the issuer just made: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// Issues are the roles that an issuer may give; nil: any, it is a CA.
func (ca *CA) Issues() []string { return issues(ca.cert) }

// Fingerprint is the SHA-256 of the CA's certificate, in hex.
func (ca *CA) Fingerprint() string { return fingerprint(ca.cert) }

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Signer is the fingerprint of the CA or issuer that signed the node's certificate.
func (id *Identity) Signer() string { return fingerprint(id.current.Load().ca) }

// NotAfter is when the CA ends.
func (ca *CA) NotAfter() time.Time { return ca.cert.NotAfter }

func issues(ca *x509.Certificate) (roles []string) {
	for _, u := range ca.URIs {
		if u.Scheme == scheme && u.Host == hostIssues {
			roles = append(roles, strings.TrimPrefix(u.Path, "/"))
		}
	}
	return roles
}

// mayIssue refuses a certificate with a role that the CA which signed it may not give.
func mayIssue(ca *x509.Certificate, p Peer) error {
	if may := issues(ca); len(may) > 0 {
		for _, role := range p.Roles {
			if !slices.Contains(may, role) {
				return &PeerError{Name: p.Name, Reason: ErrBeyondIssuer, Detail: fmt.Sprintf("%q, and %s gives %q",
					role, ca.Subject, may)}
			}
		}
	}
	return nil
}

// Request asks for a certificate for a key that stays with who asks (RFC 2986, DER).
type Request struct {
	key *ecdsa.PublicKey
}

// NewRequest makes a key, and a request for a certificate for it.
func NewRequest(name string) (csr, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("pki: new key for %s: %w", name, err)
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	csr, err = RequestFor(name, keyPEM)
	return csr, keyPEM, err
}

// RequestFor makes a request for a certificate for a key that is there already.
func RequestFor(name string, keyPEM []byte) (csr []byte, err error) {
	if err = CheckName(name); err != nil {
		return nil, err
	}
	key, err := parseKey(keyPEM)
	if err == nil {
		csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: name},
		}, key)
	}
	if err != nil {
		return nil, fmt.Errorf("pki: request for %s: %w", name, err)
	}
	return csr, nil
}

// ParseRequest reads a request and checks that who asks has the key. Names in it say
// nothing: who it is for is decided elsewhere.
func ParseRequest(csr []byte) (*Request, error) {
	if len(csr) > media.MaxJoinRequest {
		return nil, fmt.Errorf("pki: a request of %d bytes, the limit is %d", len(csr), media.MaxJoinRequest)
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("pki: request: %w", err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("pki: a request with a key of type %T, want ECDSA P-256", r.PublicKey)
	}
	if err = r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("pki: request: %w", err)
	}
	return &Request{key}, nil
}

// KeyHash is the SHA-256 of the key that is asked for, in hex.
func (r *Request) KeyHash() (string, error) {
	b, err := r.key.Bytes()
	if err != nil {
		return "", fmt.Errorf("pki: key of a request: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Grant is what a certificate for a [Request] says.
type Grant struct {
	Name  string
	Roles []string
	Life  time.Duration // cut to that of the CA
}

// Sign gives a certificate for the key of a request, from now on.
func (ca *CA) Sign(r *Request, g Grant, now time.Time) (certPEM []byte, err error) {
	if err = errors.Join(CheckName(g.Name), CheckRoles(g.Roles)); err != nil {
		return nil, err
	}
	if err = mayIssue(ca.cert, Peer{Name: g.Name, Roles: g.Roles}); err != nil {
		return nil, err
	}
	return ca.certify(g.Name, holderURIs(g.Name, g.Roles), r.key, [2]time.Time{now, now.Add(g.Life)})
}

// Pin is the SHA-256 of a CA's public key (its SubjectPublicKeyInfo, as in RFC 7469):
// by it a node that has no certificates yet knows the cluster.
type Pin [sha256.Size]byte

func pinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// CAPin is the pin of the CA that this node has its certificate from.
func (id *Identity) CAPin() Pin { return pinOf(id.current.Load().top) }

// Bundle is the CAs that this node trusts, as a file has them.
func (id *Identity) Bundle() []byte {
	var b bytes.Buffer
	for _, ca := range id.current.Load().cas {
		b.Write(encodeCert(ca.Raw))
	}
	return b.Bytes()
}

// NotBefore is when the node's certificate was given.
func (id *Identity) NotBefore() time.Time { return id.current.Load().cert.Leaf.NotBefore.Add(backdate) }

// GuestTLS is the configuration of this end for those who have no certificate: it
// shows its own with the CAs that it comes from.
func (id *Identity) GuestTLS(alpn string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{alpn}, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			m := id.current.Load()
			chain := [][]byte{m.cert.Leaf.Raw, m.ca.Raw}
			if m.top != m.ca {
				chain = append(chain, m.top.Raw)
			}
			return &tls.Certificate{Certificate: chain, PrivateKey: m.key, Leaf: m.cert.Leaf}, nil
		},
	}
}

// PinnedTLS is the configuration of a node without a certificate that asks another:
// the other must be the origin with that name, of the cluster with that CA. A refusal
// is a [PeerError].
func PinnedTLS(alpn, name string, pin Pin) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{alpn}, SessionTicketsDisabled: true,
		InsecureSkipVerify: true, // not by host name: VerifyConnection does it
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyPinned(cs.PeerCertificates, name, pin, time.Now())
		},
	}
}

// verifyPinned checks a chain whose CA is only known by its pin.
func verifyPinned(chain []*x509.Certificate, name string, pin Pin, now time.Time) error {
	if len(chain) == 0 {
		return &PeerError{Reason: ErrNoCertificate}
	}
	i := slices.IndexFunc(chain[1:], func(c *x509.Certificate) bool { return pinOf(c) == pin })
	if i < 0 {
		return &PeerError{Name: name, Reason: ErrUntrusted, Detail: "its CA is not the one that the token names"}
	}
	top := chain[1+i]
	m := &material{roots: x509.NewCertPool(), cas: []*x509.Certificate{top}}
	m.roots.AddCert(top)
	for _, c := range chain[1:] { // an issuer, if the CA has signed it
		if c.IsCA && signerOf(m.cas[:1], c) != nil && !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			m.roots.AddCert(c)
			m.cas = append(m.cas, c)
		}
	}
	peer, err := m.verify(chain[0], now)
	switch {
	case err != nil:
		return err
	case peer.Name != name:
		return &PeerError{Name: peer.Name, Reason: ErrUntrusted, Detail: fmt.Sprintf("node %q was meant", name)}
	case !peer.Has(RoleOrigin):
		return &PeerError{Name: peer.Name, Reason: ErrNoRole, Detail: "it is no origin"}
	}
	return nil
}

// CheckPinned says what is wrong with CAs that came from a node whose chain was good:
// the one with the pin must be among them.
func CheckPinned(bundle []byte, pin Pin) error {
	cas, err := parseCerts(bundle)
	if err != nil {
		return fmt.Errorf("pki: CA bundle: %w", err)
	}
	if !slices.ContainsFunc(cas, func(c *x509.Certificate) bool { return pinOf(c) == pin }) {
		return errors.New("pki: the CA that the token names is not among those of the answer")
	}
	return nil
}

// WithoutIssuers gives the certificates of a bundle without the issuers that drop, which
// is told when they end, says.
func WithoutIssuers(bundle []byte, drop func(until time.Time) bool) (kept []byte, err error) {
	cas, err := parseCerts(bundle)
	if err != nil {
		return nil, fmt.Errorf("pki: CA bundle: %w", err)
	}
	for _, c := range cas {
		if len(issues(c)) == 0 || !drop(c.NotAfter) {
			kept = append(kept, encodeCert(c.Raw)...)
		}
	}
	return kept, nil
}

// ChainedTo gives the certificates of a bundle that are this CA, or issuers that it
// has signed; roots counts the CAs of the bundle that are no issuers.
func (ca *CA) ChainedTo(bundle []byte) (kept []byte, roots int, err error) {
	cas, err := parseCerts(bundle)
	if err != nil {
		return nil, 0, fmt.Errorf("pki: CA bundle: %w", err)
	}
	for _, c := range cas {
		if len(issues(c)) == 0 {
			roots++
		}
		if c.Equal(ca.cert) || len(issues(c)) > 0 && signerOf([]*x509.Certificate{ca.cert}, c) != nil {
			kept = append(kept, encodeCert(c.Raw)...)
		}
	}
	return kept, roots, nil
}

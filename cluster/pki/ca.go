package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// Lifetimes of certificates.
const (
	caYears   = 10
	nodeYears = 1
	// backdate is how much earlier a certificate begins, for clocks that are behind.
	backdate = time.Hour
)

// CA signs the certificates of one cluster. It may be used from any goroutine.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA with a new key.
func NewCA(now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: new CA key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: fmt.Sprintf("tmms CA %x", serial.Bytes()[:4])},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(caYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1, // an issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("pki: sign CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("pki: parse the CA just made: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// LoadCA takes what [CA.CertPEM] and [CA.KeyPEM] gave. certPEM may be a bundle:
// the certificate that belongs to the key signs.
func LoadCA(certPEM, keyPEM []byte) (*CA, error) {
	certs, err := parseCerts(certPEM)
	if err != nil {
		return nil, fmt.Errorf("pki: CA certificate: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("pki: CA key: %w", err)
	}
	for _, cert := range certs {
		if pub, ok := cert.PublicKey.(*ecdsa.PublicKey); ok && cert.IsCA && pub.Equal(key.Public()) {
			return &CA{cert: cert, key: key}, nil
		}
	}
	return nil, fmt.Errorf("pki: none of the %d CA certificates belongs to the CA key", len(certs))
}

// CertPEM is the CA's certificate.
func (ca *CA) CertPEM() []byte { return encodeCert(ca.cert.Raw) }

// KeyPEM is the CA's private key: whoever has it can make nodes.
func (ca *CA) KeyPEM() []byte {
	b, err := encodeKey(ca.key)
	if err != nil {
		panic(err) // not for any key that NewCA or LoadCA gives
	}
	return b
}

// Signed reports whether a certificate is from this CA, whenever it is valid.
func (ca *CA) Signed(certPEM []byte) bool {
	certs, err := parseCerts(certPEM)
	return err == nil && bytes.Equal(certs[0].RawIssuer, ca.cert.RawSubject) && certs[0].CheckSignatureFrom(ca.cert) == nil
}

// Issue makes a key and a certificate for a node.
func (ca *CA) Issue(name string, roles []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	if err := errors.Join(CheckName(name), CheckRoles(roles)); err != nil {
		return nil, nil, err
	}
	return ca.sign(name, holderURIs(name, roles), now)
}

// holderURIs say who a certificate is for.
func holderURIs(name string, roles []string) []*url.URL {
	uris := make([]*url.URL, 1, 1+len(roles))
	uris[0] = nodeURI(name)
	for _, role := range roles {
		uris = append(uris, roleURI(role))
	}
	return uris
}

// sign makes a key and a certificate for the URIs, which is valid from now on.
func (ca *CA) sign(name string, uris []*url.URL, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("pki: new key for %s: %w", name, err)
	}
	certPEM, err = ca.certify(name, uris, key.Public(), [2]time.Time{now, now.AddDate(nodeYears, 0, 0)})
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return certPEM, keyPEM, err
}

// certify makes a certificate for a key that is valid from life[0] to life[1], as far
// as the CA is.
func (ca *CA) certify(
	name string, uris []*url.URL, key crypto.PublicKey, life [2]time.Time,
) (certPEM []byte, err error) {
	if !life[0].Before(ca.cert.NotAfter) {
		return nil, fmt.Errorf("pki: the CA has ended at %s: rotate it", ca.cert.NotAfter.Format(time.RFC3339))
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             later(life[0].Add(-backdate), ca.cert.NotBefore),
		NotAfter:              earlier(life[1], ca.cert.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  uris,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("pki: sign %s: %w", name, err)
	}
	return encodeCert(der), nil
}

// newSerial draws 127 random bits, the first of which is 1.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("pki: serial number: %w", err)
	}
	return n.SetBit(n, 126, 1), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

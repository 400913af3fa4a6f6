package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"tmms/media"
)

// Types of PEM blocks (RFC 7468).
const (
	typeCert = "CERTIFICATE"
	typeKey  = "PRIVATE KEY"
)

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typeCert, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("pki: encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typeKey, Bytes: der}), nil
}

// parseCerts reads one or more certificates.
func parseCerts(text []byte) ([]*x509.Certificate, error) {
	if len(text) > media.MaxCertificateFile {
		return nil, fmt.Errorf("%d bytes, limit %d", len(text), media.MaxCertificateFile)
	}
	var certs []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != typeCert {
			return nil, fmt.Errorf("PEM block %q, want %q", block.Type, typeCert)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no PEM certificate")
	}
	return certs, nil
}

// SplitCerts gives the certificates of a bundle one by one.
func SplitCerts(bundle []byte) ([][]byte, error) {
	certs, err := parseCerts(bundle)
	if err != nil {
		return nil, fmt.Errorf("pki: CA bundle: %w", err)
	}
	all := make([][]byte, len(certs))
	for i, cert := range certs {
		all[i] = encodeCert(cert.Raw)
	}
	return all, nil
}

// parseKey reads a P-256 key.
func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	if len(text) > media.MaxCertificateFile {
		return nil, fmt.Errorf("%d bytes, limit %d", len(text), media.MaxCertificateFile)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != typeKey {
		return nil, fmt.Errorf("no PEM block %q", typeKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("a key of type %T, want ECDSA P-256", parsed)
	}
	return key, nil
}

// NewGossipKey draws a key for the gossip between nodes: 32 bytes in base64.
func NewGossipKey() (string, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fmt.Errorf("pki: gossip key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(key[:]), nil
}

package lab

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// SecureTMMS is TMMS that listens for HTTPS too, with a certificate of its own.
func (l *Lab) SecureTMMS(ctx context.Context, name string, settings ...string) (*Server, error) {
	cert, key, err := l.certificate()
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + port
	s, err := l.TMMS(ctx, name, append([]string{"listen.https=" + addr, "tls.certs=" + cert + ":" + key}, settings...)...)
	if err != nil {
		return nil, err
	}
	s.HTTPS = addr
	return s, nil
}

// certificate writes a certificate for the loopback address, which signs itself,
// and its key (ECDSA P-256) into the lab's folder.
func (l *Lab) certificate() (certFile, keyFile string, err error) {
	certFile, keyFile = filepath.Join(l.dir, "cert.pem"), filepath.Join(l.dir, "key.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("lab: key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", fmt.Errorf("lab: certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", fmt.Errorf("lab: key: %w", err)
	}
	for _, f := range []struct{ der, typ, file string }{
		{string(der), "CERTIFICATE", certFile}, {string(pkcs8), "PRIVATE KEY", keyFile},
	} {
		text := pem.EncodeToMemory(&pem.Block{Type: f.typ, Bytes: []byte(f.der)})
		if err := os.WriteFile(f.file, text, 0o600); err != nil {
			return "", "", fmt.Errorf("lab: %w", err)
		}
	}
	return certFile, keyFile, nil
}

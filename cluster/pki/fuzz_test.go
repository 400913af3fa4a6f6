package pki

import (
	"testing"
	"time"
)

// Whatever lies in a certificate's, bundle's or key's file, it is read or refused.
func FuzzPEM(f *testing.F) {
	ca, err := NewCA(time.Unix(1_700_000_000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.CertPEM())
	f.Add(ca.KeyPEM())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		certs, err := parseCerts(b)
		if (err == nil) != (len(certs) > 0) {
			t.Fatalf("%d certificates, %v", len(certs), err)
		}
		if parts, serr := SplitCerts(b); (serr == nil) != (err == nil) || len(parts) != len(certs) {
			t.Fatalf("%d certificates become %d, %v", len(certs), len(parts), serr)
		}
		if p, perr := ParsePeer(b); perr == nil && CheckName(p.Name) != nil {
			t.Errorf("a peer named %q", p.Name)
		}
		if key, kerr := parseKey(b); (key == nil) == (kerr == nil) {
			t.Errorf("key %v, %v", key != nil, kerr)
		}
	})
}

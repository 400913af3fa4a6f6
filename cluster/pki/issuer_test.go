package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/media"
)

// requested makes a key and parses the request for it.
func requested(tb testing.TB) (r *Request, keyPEM []byte) {
	tb.Helper()
	csr, keyPEM, err := NewRequest("e1")
	if err != nil {
		tb.Fatal(err)
	}
	if r, err = ParseRequest(csr); err != nil {
		tb.Fatal(err)
	}
	return r, keyPEM
}

func newIssuer(tb testing.TB, now time.Time, roles ...string) (ca, issuer *CA) {
	tb.Helper()
	ca, err := NewCA(now)
	if err != nil {
		tb.Fatal(err)
	}
	if issuer, err = ca.NewIssuer(roles, now); err != nil {
		tb.Fatal(err)
	}
	return ca, issuer
}

func parsed(tb testing.TB, certPEM []byte) *x509.Certificate {
	tb.Helper()
	certs, err := parseCerts(certPEM)
	if err != nil {
		tb.Fatal(err)
	}
	return certs[0]
}

// An issuer gives what it may give, to a key that it never sees, and nodes accept
// that; whoever steals it can't make more of it.
func TestIssuer(t *testing.T) {
	now := time.Now()
	ca, issuer := newIssuer(t, now, RoleEdge)
	bundle := append(ca.CertPEM(), issuer.CertPEM()...)
	r, keyPEM := requested(t)
	certPEM, err := issuer.Sign(r, Grant{Name: "e1", Roles: []string{RoleEdge}, Life: media.JoinedLife}, now)
	if err != nil {
		t.Fatal(err)
	}
	id, err := NewIdentity(certPEM, keyPEM, bundle)
	if err != nil {
		t.Fatal(err)
	}
	if life := id.NotAfter().Sub(now); id.Peer().String() != "e1[edge]" || life > media.JoinedLife || life < media.JoinedLife-time.Minute {
		t.Errorf("%s for %s", id.Peer(), life)
	}
	o1cert, o1key, err := ca.Issue("o1", []string{RoleOrigin}, now)
	if err != nil {
		t.Fatal(err)
	}
	o1, err := NewIdentity(o1cert, o1key, bundle)
	if err != nil {
		t.Fatal(err)
	}
	if o1.CAFingerprint() != id.CAFingerprint() || o1.CAPin() != id.CAPin() || !bytes.Equal(id.Bundle(), bundle) {
		t.Error("nodes of the CA and of its issuer are of two clusters")
	}
	if err = o1.check(parsed(t, certPEM), now); err != nil {
		t.Errorf("another node refuses it: %v", err)
	}
	if _, err = issuer.Sign(r, Grant{Name: "e1", Roles: []string{RoleOrigin}, Life: time.Hour}, now); !errors.Is(err, ErrBeyondIssuer) {
		t.Errorf("it gives a role that it may not: %v", err)
	}
	stolen, err := issuer.certify("o1", holderURIs("o1", []string{RoleOrigin}), r.key, [2]time.Time{now, now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err = o1.check(parsed(t, stolen), now); !errors.Is(err, ErrBeyondIssuer) {
		t.Errorf("what a stolen issuer has signed is taken: %v", err)
	}
	if _, err = issuer.NewIssuer([]string{RoleOrigin}, now); err == nil {
		t.Error("an issuer makes issuers")
	}
	if old, fault := NewIdentity(o1cert, o1key, ca.CertPEM()); fault != nil || old.check(parsed(t, certPEM), now) == nil {
		t.Errorf("a node that has not the issuer's certificate takes it (%v)", fault)
	}
	if _, err = LoadCA(bundle, issuer.KeyPEM()); err != nil {
		t.Error(err)
	}
	if after := issuer.NotAfter(); !after.After(now.AddDate(0, 11, 0)) || after.After(now.AddDate(1, 0, 1)) ||
		!slices.Equal(issuer.Issues(), []string{RoleEdge}) || len(ca.Issues()) != 0 {
		t.Errorf("it ends at %s and gives %q", after, issuer.Issues())
	}
	if late, err := issuer.Sign(r, Grant{Name: "e1", Roles: []string{RoleEdge}, Life: time.Hour}, now.AddDate(2, 0, 0)); err == nil {
		t.Errorf("it signs after its end: %s", late)
	}
}

// A node without a certificate takes only the origin that it means, of the cluster that its token names.
func TestPinned(t *testing.T) {
	now := time.Now()
	ca, issuer := newIssuer(t, now, RoleOrigin, RoleEdge)
	other, _ := newIssuer(t, now, RoleEdge)
	chain := func(signer *CA, name, role string, more ...*CA) []*x509.Certificate {
		certPEM, _, err := signer.Issue(name, []string{role}, now)
		if err != nil {
			t.Fatal(err)
		}
		all := []*x509.Certificate{parsed(t, certPEM)}
		for _, c := range append([]*CA{signer}, more...) {
			all = append(all, c.cert)
		}
		return all
	}
	pin := pinOf(ca.cert)
	for name, tc := range map[string]struct {
		chain []*x509.Certificate
		pin   Pin
		at    time.Time
		want  error
	}{
		"ca":           {chain(ca, "o1", RoleOrigin), pin, now, nil},
		"issuer":       {chain(issuer, "o1", RoleOrigin, ca), pin, now, nil},
		"none":         {nil, pin, now, ErrNoCertificate},
		"leaf alone":   {chain(ca, "o1", RoleOrigin)[:1], pin, now, ErrUntrusted},
		"other pin":    {chain(ca, "o1", RoleOrigin), pinOf(other.cert), now, ErrUntrusted},
		"other CA":     {chain(other, "o1", RoleOrigin, ca), pin, now, ErrUntrusted},
		"other name":   {chain(ca, "o2", RoleOrigin), pin, now, ErrUntrusted},
		"edge":         {chain(ca, "o1", RoleEdge), pin, now, ErrNoRole},
		"ended":        {chain(ca, "o1", RoleOrigin), pin, now.AddDate(1, 1, 0), ErrExpired},
		"issuer ended": {chain(issuer, "o1", RoleOrigin, ca), pin, now.AddDate(1, 1, 0), ErrExpired},
	} {
		if err := verifyPinned(tc.chain, "o1", tc.pin, tc.at); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if CheckPinned(other.CertPEM(), pin) == nil || CheckPinned(append(other.CertPEM(), ca.CertPEM()...), pin) != nil || CheckPinned(nil, pin) == nil {
		t.Error("which bundles have the CA of the token?")
	}
}

func TestRequests(t *testing.T) {
	csr, _, err := NewRequest("e1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := r.KeyHash()
	if err != nil || len(hash) != 64 {
		t.Errorf("%q, %v", hash, err)
	}
	forged := bytes.Clone(csr)
	forged[len(forged)-1] ^= 1
	for want, b := range map[string][]byte{
		"limit is": make([]byte, media.MaxJoinRequest+1), "request: ": csr[:40], "ECDSA verification failure": forged,
	} {
		if _, err = ParseRequest(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, _, err = NewRequest("no name"); err == nil {
		t.Error("a name with a space")
	}
}

// Whatever a stranger sends as a request, it is read or refused.
func FuzzRequest(f *testing.F) {
	csr, _, err := NewRequest("e1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Add(csr[:len(csr)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		if _, err = r.KeyHash(); err != nil {
			t.Error(err)
		}
	})
}

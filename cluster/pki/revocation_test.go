package pki

import (
	"errors"
	"strings"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// revokes gives the list that commands lead to.
func revokes(t *testing.T, all ...state.Revocation) *state.Revocations {
	t.Helper()
	s := state.New()
	for i, r := range all {
		b, err := state.Encode(state.Revoke{Revocation: r})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Apply(uint64(i+1), b); err != nil {
			t.Fatal(err)
		}
	}
	return s.Revocations()
}

// Both ends of a handshake refuse a certificate that is revoked, by serial number
// or by the node's name and the time of its issue.
func TestRevoked(t *testing.T) {
	ca, now := newCA(t), time.Now()
	at := func(name string, issued time.Time) *Identity {
		certPEM, keyPEM, err := ca.Issue(name, []string{RoleEdge}, issued)
		if err != nil {
			t.Fatal(err)
		}
		return identity(t, certPEM, keyPEM, ca.CertPEM())
	}
	judge := issue(t, ca, "judge")
	before, same, after, other := at("n", now.Add(-time.Hour)), at("n", now), at("n", now.Add(time.Second)), at("n2", now)
	for _, tc := range []struct {
		name    string
		list    []state.Revocation
		peer    *Identity
		revoked bool
	}{
		{"nothing", nil, before, false},
		{"serial", []state.Revocation{{Serial: before.Serial()}}, before, true},
		{"serial-of-another", []state.Revocation{{Serial: before.Serial()}}, same, false},
		{"node-before", []state.Revocation{{Node: "n", AtUnixMS: now.UnixMilli()}}, before, true},
		{"node-in-that-second", []state.Revocation{{Node: "n", AtUnixMS: now.UnixMilli()}}, same, true},
		{"node-after", []state.Revocation{{Node: "n", AtUnixMS: now.UnixMilli()}}, after, false},
		{"another-node", []state.Revocation{{Node: "n", AtUnixMS: now.UnixMilli()}}, other, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			judge.Revoke(revokes(t, tc.list...))
			cs, _, asServer := shake(t, tc.peer.TLS("x"), judge.TLS("x"))
			_, asClient, _ := shake(t, judge.TLS("x"), tc.peer.TLS("x"))
			for side, err := range map[string]error{"server": asServer, "client": asClient} {
				if errors.Is(err, ErrRevoked) != tc.revoked || err != nil && !tc.revoked {
					t.Errorf("%s: %v", side, err)
				}
			}
			if tc.revoked {
				return
			}
			judge.Revoke(revokes(t, state.Revocation{Serial: tc.peer.Serial()}))
			if err := judge.Trusts(cs); !errors.Is(err, ErrRevoked) {
				t.Errorf("a session that is there: %v", err)
			}
			judge.Revoke(revokes(t))
			if err := judge.Trusts(cs); err != nil {
				t.Errorf("a session that is there: %v", err)
			}
		})
	}
}

func TestSerials(t *testing.T) {
	ca := newCA(t)
	for range 50 {
		serial := issue(t, ca, "n").Serial()
		got, ok := ParseSerial(serial)
		if !ok || got != serial || len(serial) != media.CertificateSerial {
			t.Fatalf("%q becomes %q, %v", serial, got, ok)
		}
		var pairs []string
		for i := 0; i < len(serial); i += 2 {
			pairs = append(pairs, strings.ToUpper(serial[i:i+2]))
		}
		if got, ok = ParseSerial(strings.Join(pairs, ":")); !ok || got != serial { // as openssl prints it
			t.Fatalf("%q becomes %q, %v", pairs, got, ok)
		}
	}
	for _, bad := range []string{"", "o1", "5f", strings.Repeat("0", 32), strings.Repeat("5", 33), strings.Repeat("5", 31) + "g"} {
		if _, ok := ParseSerial(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A revocation is kept for as long as a certificate can live.
func TestLifetime(t *testing.T) {
	now := time.Now()
	certPEM, _, err := newCA(t).Issue("n", []string{RoleEdge}, now)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := parseCerts(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	if end := certs[0].NotAfter; end.After(now.Add(Lifetime)) {
		t.Errorf("the certificate ends at %s, its revocation at %s", end, now.Add(Lifetime))
	}
}

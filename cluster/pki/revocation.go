package pki

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// Lifetime is longer than any node's certificate lives: after it a revocation is
// of no use any more.
const Lifetime = (nodeYears*366 + 1) * 24 * time.Hour

// revocations are the certificates that are not good any more; not modified.
type revocations struct {
	serials map[string]bool
	nodes   map[string]time.Time
}

// Revoke replaces the revocations that are in force for new handshakes;
// [Identity.Trusts] tells which sessions have to end.
func (id *Identity) Revoke(list *state.Revocations) {
	r := &revocations{serials: make(map[string]bool), nodes: make(map[string]time.Time)}
	for _, v := range list.All() {
		if v.Node != "" {
			r.nodes[v.Node] = time.UnixMilli(v.AtUnixMS)
		} else {
			r.serials[v.Serial] = true
		}
	}
	id.revoked.Store(r)
}

// check says that a certificate is revoked.
func (r *revocations) check(p Peer) error {
	if r == nil {
		return nil
	}
	if r.serials[p.Serial] {
		return &PeerError{Name: p.Name, Reason: ErrRevoked, Detail: "serial number " + p.Serial}
	}
	if until, ok := r.nodes[p.Name]; ok && !p.Issued.After(until) {
		return &PeerError{Name: p.Name, Reason: ErrRevoked, Detail: fmt.Sprintf("issued at %s, all up to %s are",
			p.Issued.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))}
	}
	return nil
}

// serialOf is a certificate's serial number as everybody here writes it.
func serialOf(cert *x509.Certificate) string {
	if cert.SerialNumber == nil {
		return ""
	}
	return fmt.Sprintf("%x", cert.SerialNumber)
}

// ParseSerial reads a serial number in hex, also one with colons or in upper
// case; ok is false if it is none that this package gives. Such a number is no
// name of a node, though [CheckName] takes it.
func ParseSerial(text string) (serial string, ok bool) {
	s := strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if len(s) != media.CertificateSerial {
		return "", false
	}
	_, err := hex.DecodeString(s)
	return s, err == nil && s[0] >= '4' && s[0] <= '7' // see newSerial
}

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tmms/media"
)

// The roles that a certificate may have.
const (
	RoleOrigin = "origin"
	RoleEdge   = "edge"
	RoleClient = "client" // reserved
)

const (
	scheme   = "tmms"
	hostNode = "node"
	hostRole = "role"

	hostIssues = "issues" // in a CA's certificate: a role that it may give
)

// Peer is who a certificate says its holder is.
type Peer struct {
	Name   string
	Roles  []string  // ordered; do not modify
	Serial string    // the certificate's serial number in hex
	Issued time.Time // when it was, by the clock of who did
}

// Has reports whether the peer has a role.
func (p Peer) Has(role string) bool { return slices.Contains(p.Roles, role) }

// String gives the name with the roles.
func (p Peer) String() string { return p.Name + "[" + strings.Join(p.Roles, " ") + "]" }

// PeerOf tells who is at the other end of a connection whose handshake is
// complete. It does not verify: [Identity.TLS] has done so.
func PeerOf(cs tls.ConnectionState) (Peer, error) {
	if len(cs.PeerCertificates) == 0 {
		return Peer{}, &PeerError{Reason: ErrNoCertificate}
	}
	return peerOf(cs.PeerCertificates[0])
}

// ParsePeer tells whom a node's certificate names. It does not verify.
func ParsePeer(certPEM []byte) (Peer, error) {
	certs, err := parseCerts(certPEM)
	if err != nil {
		return Peer{}, fmt.Errorf("pki: certificate: %w", err)
	}
	return peerOf(certs[0])
}

// peerOf reads the URIs of a certificate. Those of other schemes are ignored,
// and so are roles that a later version may know.
func peerOf(cert *x509.Certificate) (Peer, error) {
	p := Peer{Serial: serialOf(cert), Issued: cert.NotBefore.Add(backdate)}
	for _, u := range cert.URIs {
		if u.Scheme != scheme {
			continue
		}
		value := strings.TrimPrefix(u.Path, "/")
		switch u.Host {
		case hostNode:
			if err := CheckName(value); err != nil || p.Name != "" {
				return Peer{}, &PeerError{Reason: ErrNoName, Detail: u.String()}
			}
			p.Name = value
		case hostRole:
			if len(p.Roles) < media.MaxNodeRoles {
				p.Roles = append(p.Roles, value)
			}
		}
	}
	if p.Name == "" {
		return Peer{}, &PeerError{Reason: ErrNoName, Detail: "subject " + cert.Subject.String()}
	}
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.Roles)
	if !slices.ContainsFunc(p.Roles, knownRole) {
		return p, &PeerError{Name: p.Name, Reason: ErrNoRole, Detail: fmt.Sprintf("%q", p.Roles)}
	}
	return p, nil
}

func knownRole(role string) bool { return role == RoleOrigin || role == RoleEdge || role == RoleClient }

// CheckName reports what is wrong with a node's name: it has 1 to
// [media.MaxNodeName] letters, digits, '-', '_' and '.', and begins with a
// letter or a digit.
func CheckName(name string) error {
	if name == "" || len(name) > media.MaxNodeName {
		return fmt.Errorf("pki: name %.80q has %d bytes, want 1 to %d", name, len(name), media.MaxNodeName)
	}
	for i, r := range []byte(name) {
		if !nameByte(r, i == 0) {
			return fmt.Errorf("pki: name %q: byte %d is %q, want letters, digits, '-', '_' and '.'", name, i, r)
		}
	}
	return nil
}

func nameByte(b byte, first bool) bool {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		return true
	case b == '-', b == '_', b == '.':
		return !first
	}
	return false
}

// CheckRoles reports what is wrong with a node's roles: at least one, each known, none twice.
func CheckRoles(roles []string) error {
	if len(roles) == 0 {
		return fmt.Errorf("pki: no roles, want some of %s, %s, %s", RoleOrigin, RoleEdge, RoleClient)
	}
	for i, r := range roles {
		if !knownRole(r) {
			return fmt.Errorf("pki: role %q, want some of %s, %s, %s", r, RoleOrigin, RoleEdge, RoleClient)
		}
		if slices.Contains(roles[:i], r) {
			return fmt.Errorf("pki: role %q is there twice", r)
		}
	}
	return nil
}

func nodeURI(name string) *url.URL { return &url.URL{Scheme: scheme, Host: hostNode, Path: "/" + name} }

func roleURI(role string) *url.URL { return &url.URL{Scheme: scheme, Host: hostRole, Path: "/" + role} }

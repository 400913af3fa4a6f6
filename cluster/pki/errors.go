package pki

import (
	"errors"
	"fmt"
)

// Why a certificate is refused; see [PeerError].
var (
	// ErrUntrusted says that the certificate is not from a CA of the cluster.
	ErrUntrusted = errors.New("not signed by a CA of this cluster")
	// ErrExpired says that the certificate, or its CA, is past its end.
	ErrExpired = errors.New("expired")
	// ErrNotYetValid says that the certificate begins later: a clock is wrong.
	ErrNotYetValid = errors.New("not valid yet")
	// ErrRevoked says that the cluster has taken the certificate out of use.
	ErrRevoked = errors.New("revoked")
	// ErrNoCertificate says that the peer showed none.
	ErrNoCertificate = errors.New("no certificate")
	// ErrNoName says that the certificate does not name exactly one node.
	ErrNoName = errors.New("does not name one node")
	// ErrBeyondIssuer says that the CA which signed the certificate may not give its roles.
	ErrBeyondIssuer = errors.New("has a role that its issuer may not give")
	// ErrNoRole says that the certificate has none of the known roles.
	ErrNoRole = errors.New("has no known role")
)

// PeerError says which certificate is refused and why.
type PeerError struct {
	Name   string // what the certificate claims; "" if nothing
	Reason error  // one of the errors above
	Detail string // the offending value
}

func (e *PeerError) Error() string {
	name := e.Name
	if name == "" {
		name = "a peer"
	}
	if e.Detail == "" {
		return fmt.Sprintf("pki: certificate of %s: %v", name, e.Reason)
	}
	return fmt.Sprintf("pki: certificate of %s: %v: %s", name, e.Reason, e.Detail)
}

func (e *PeerError) Unwrap() error { return e.Reason }

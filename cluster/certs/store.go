package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tmms/media"
)

// Files name a certificate, PEM with the leaf first and its chain behind it, and
// its key, PEM too.
type Files struct{ Cert, Key string }

// Store is a set of certificates. It may be used from any goroutine.
type Store struct {
	// Set at construction.
	files []Files

	reloadMu sync.Mutex // one reload at a time
	current  atomic.Pointer[set]
}

// set is what the files say; it is not modified.
type set struct {
	certs  []*tls.Certificate
	byName map[string][]*tls.Certificate // lower case; "*.example.com" too
	sum    [sha256.Size]byte             // of the files
}

// Load reads the files; the first certificate is for clients that name no server,
// or one that no certificate has. The error joins every fault of every file.
func Load(files []Files) (*Store, error) {
	if len(files) == 0 || len(files) > media.MaxTLSCerts {
		return nil, fmt.Errorf("certs: %d certificates, want 1 to %d", len(files), media.MaxTLSCerts)
	}
	s := &Store{files: files}
	now, err := readSet(files)
	if err != nil {
		return nil, err
	}
	s.current.Store(now)
	return s, nil
}

func readSet(files []Files) (*set, error) {
	s := &set{byName: make(map[string][]*tls.Certificate)}
	sum := sha256.New()
	var faults []error
	for i, f := range files {
		cert, raw, err := read(f)
		if err != nil {
			faults = append(faults, &FileError{Index: i, Err: err})
			continue
		}
		sum.Write(raw)
		s.add(cert)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	sum.Sum(s.sum[:0])
	return s, nil
}

// add makes a certificate be found by its names. As browsers do, it takes the
// subject's common name only where there is no other (RFC 6125 section 6.4.4).
func (s *set) add(cert *tls.Certificate) {
	s.certs = append(s.certs, cert)
	names := cert.Leaf.DNSNames
	if len(names) == 0 && cert.Leaf.Subject.CommonName != "" {
		names = []string{cert.Leaf.Subject.CommonName}
	}
	for _, name := range names {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		s.byName[name] = append(s.byName[name], cert)
	}
}

// find gives the certificates for a server's name, maybe none. A wildcard stands
// for exactly one label.
func (s *set) find(name string) []*tls.Certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if found := s.byName[name]; len(found) > 0 {
		return found
	}
	_, parent, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	return s.byName["*."+parent]
}

// Get chooses the certificate for a client, as of tls.Config.GetCertificate:
// among those for the name that it asks for the first that its algorithms allow.
func (s *Store) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := s.current.Load()
	found := now.find(hello.ServerName)
	if len(found) == 0 {
		return now.certs[0], nil
	}
	for _, cert := range found[:len(found)-1] {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return found[len(found)-1], nil
}

// TLS is a server's configuration that goes by the store, for TLS 1.2 and 1.3.
// protos are what it speaks, best first (RFC 7301); without any the client's
// wishes are ignored. Records are of full size from the first on: what is sent
// is a stream.
func (s *Store) TLS(protos ...string) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		GetCertificate:              s.Get,
		NextProtos:                  protos,
		DynamicRecordSizingDisabled: true,
	}
}

// Warnings says which certificates clients will refuse at a time.
func (s *Store) Warnings(now time.Time) []string {
	var all []string
	for i, cert := range s.current.Load().certs {
		leaf := cert.Leaf
		switch {
		case now.After(leaf.NotAfter):
			all = append(all, fmt.Sprintf("%s: ended at %s", s.files[i].Cert, leaf.NotAfter.UTC().Format(time.RFC3339)))
		case now.Before(leaf.NotBefore):
			all = append(all, fmt.Sprintf("%s: begins at %s", s.files[i].Cert, leaf.NotBefore.UTC().Format(time.RFC3339)))
		}
	}
	return all
}

// Reload reads the files again; if any is wrong, all that was stays in force. New
// handshakes use what is new, connections that are there stay.
func (s *Store) Reload() (changed bool, err error) {
	s.reloadMu.Lock()
	defer s.reloadMu.Unlock()
	now, err := readSet(s.files)
	if err != nil {
		return false, err
	}
	if now.sum == s.current.Load().sum {
		return false, nil
	}
	s.current.Store(now)
	return true, nil
}

// Follow reloads when the files have changed, which it looks at every interval,
// until ctx ends. told gets the outcome: nil for a reload, and an error once for
// as long as it is the same.
func (s *Store) Follow(ctx context.Context, interval time.Duration, told func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := s.Reload()
		switch {
		case err == nil:
			last = ""
			if changed {
				told(nil)
			}
		case err.Error() != last:
			last = err.Error()
			told(err)
		}
	}
}

package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tmms/media"
)

// FileError is a fault of one certificate.
type FileError struct {
	Index int // in what Load was given
	Err   error
}

func (e *FileError) Error() string { return fmt.Sprintf("certs: certificate %d: %v", e.Index+1, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// read makes a certificate of its files; raw is what they hold.
func read(f Files) (cert *tls.Certificate, raw []byte, err error) {
	chain, certErr := readFile(f.Cert)
	key, keyErr := readFile(f.Key)
	if err = errors.Join(certErr, keyErr); err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, nil, fmt.Errorf("%s with %s: %s", f.Cert, f.Key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, append(append(chain, 0), key...), nil
}

// readFile reads a file of at most media.MaxTLSFile bytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, media.MaxTLSFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > media.MaxTLSFile {
		return nil, fmt.Errorf("%s: the file has more than %d bytes", name, media.MaxTLSFile)
	}
	return b, nil
}

package nodeconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tmms/cluster/certs"
	"tmms/media"
)

// certificates is a list of certificates and keys: objects in YAML, words
// elsewhere.
func certificates(path, doc string) Key {
	k := Key{
		Path: path, Type: "list", Default: "[]", Doc: doc,
		Rule: fmt.Sprintf("at most %d of {cert_file: FILE, key_file: FILE}, or CERT_FILE:KEY_FILE each; PEM files, "+
			"none twice", media.MaxTLSCerts),
	}
	return k.with(func(c *Config, v any) error {
		pairs, err := asCertificates(v)
		if err != nil {
			return err
		}
		c.TLS.Certs = pairs
		return nil
	})
}

func asCertificates(v any) ([]certs.Files, error) {
	items, ok := v.([]any)
	if !ok {
		words, err := asList(v)
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			items = append(items, w)
		}
	}
	if len(items) > media.MaxTLSCerts {
		return nil, errRule
	}
	var pairs []certs.Files
	for _, item := range items {
		pair, ok := asCertificate(item)
		if !ok || slices.Contains(pairs, pair) {
			return nil, errRule
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// asCertificate reads one item; every other key than the two is refused.
func asCertificate(item any) (pair certs.Files, ok bool) {
	switch item := item.(type) {
	case string:
		pair.Cert, pair.Key, _ = strings.Cut(item, ":")
	case map[string]any:
		pair.Cert, _ = item["cert_file"].(string)
		pair.Key, _ = item["key_file"].(string)
		if len(item) != 2 {
			return pair, false
		}
	}
	return pair, pair.Cert != "" && pair.Key != ""
}

// tlsFaults checks that the TLS ports have certificates.
func (c *Config) tlsFaults() []error {
	var all []error
	for _, l := range []struct{ path, addr string }{
		{"listen.rtmps", c.Listen.RTMPS}, {"listen.https", c.Listen.HTTPS},
	} {
		if l.addr != "" && len(c.TLS.Certs) == 0 {
			all = append(all, FaultError{Path: l.path, Value: show(l.addr), Rule: "needs a certificate: set tls.certs"})
		}
	}
	return all
}

// tlsFileFaults reads the certificates and keys.
func (c *Config) tlsFileFaults() []error {
	if len(c.TLS.Certs) == 0 {
		return nil
	}
	_, err := certs.Load(c.TLS.Certs)
	if err == nil {
		return nil
	}
	var all []error
	for _, fault := range split(err) {
		path := "tls.certs"
		if f, ok := errors.AsType[*certs.FileError](fault); ok {
			path, fault = fmt.Sprintf("tls.certs[%d]", f.Index), f.Err
		}
		all = append(all, FaultError{Path: path, Rule: fault.Error()})
	}
	return all
}

// split takes joined errors apart.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

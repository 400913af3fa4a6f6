package state

import (
	"errors"
	"net/netip"
	"strings"

	"tmms/media"
)

// foldHost brings a host as a client writes it into the one form that names are
// compared in: no port, no brackets, no trailing dot, lower case, an address in
// its shortest form without a zone.
func foldHost(host string) string {
	host = cutPort(strings.TrimSpace(host))
	if a, err := netip.ParseAddr(host); err == nil {
		return a.WithZone("").Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// cutPort takes ":port" and the brackets of an IPv6 literal off; a bare IPv6
// literal, which has several colons, is left alone (RFC 3986 section 3.2.2).
func cutPort(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		inside, _, closed := strings.Cut(rest, "]")
		if closed {
			return inside
		}
		return host
	}
	if name, _, ok := strings.Cut(host, ":"); ok && strings.Count(host, ":") == 1 {
		return name
	}
	return host
}

// checkDomainName accepts the canonical name of a domain: it becomes part of
// every stream key, so it is a plain name, never a pattern.
func checkDomainName(name string) error {
	if strings.Contains(name, "*") {
		return errors.New("a pattern can only be an alias: the name becomes part of stream keys")
	}
	return checkHost(name)
}

// checkAlias accepts a plain name, "*", or "*.suffix".
func checkAlias(alias string) error {
	if alias == "*" {
		return nil
	}
	if suffix, ok := strings.CutPrefix(alias, "*."); ok {
		if strings.Contains(suffix, "*") || strings.HasPrefix(suffix, ".") {
			return errors.New("only one * is allowed, in front, as in *.example.com")
		}
		return checkHost(suffix)
	}
	if strings.Contains(alias, "*") {
		return errors.New("only one * is allowed, in front, as in *.example.com")
	}
	return checkHost(alias)
}

// checkHost takes a host name or an IP literal, in any form that folds to one.
func checkHost(host string) error {
	folded := foldHost(host)
	if err := media.CheckName("name", folded); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(folded); err == nil {
		return nil
	}
	if cutPort(host) != host || strings.Contains(folded, ":") {
		return errors.New("must be a host without a port")
	}
	if strings.HasSuffix(folded, ".") || strings.Contains(folded, "..") {
		return errors.New("has an empty label between dots")
	}
	return nil
}

package nodeconfig

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tmms/media"
)

// Bounds on values.
const (
	maxLoops  = 1024                 // more than any machine has cores for
	maxCount  = 10_000_000           // viewers or connections that no node can have
	flushTick = 5 * time.Millisecond // the reactor's tick
	maxFlush  = time.Second

	defaultLease = 10 * time.Second
	minLease     = 5 * time.Second // a lease is renewed three times in its life
	maxLease     = time.Minute
)

var (
	// errRule says that a value breaks its key's rule, whose text is the message.
	errRule = errors.New("not allowed")
	// errQuote says that YAML took a word for something else.
	errQuote = errors.New("want text: put it in quotes")
)

type check func(string) error

func text(path, def, rule, doc string, at func(*Config) *string, ok check) Key {
	k := Key{Path: path, Type: "text", Default: def, Rule: rule, Doc: doc}
	return k.with(func(c *Config, v any) error {
		s, err := asText(v)
		if err != nil {
			return err
		}
		if ok != nil {
			if err := ok(s); err != nil {
				return err
			}
		}
		*at(c) = s
		return nil
	})
}

func address(path, def, doc string, at func(*Config) *string) Key {
	k := text(path, def, "[HOST]:PORT with an IP address (IPv6 in brackets), localhost or nothing as HOST; empty: off",
		doc, at, optional(checkListen))
	k.Type = "address"
	return k
}

func number(path string, def, low, high int, doc string, at func(*Config) *int) Key {
	k := Key{
		Path: path, Type: "number", Default: strconv.Itoa(def),
		Rule: fmt.Sprintf("a whole number from %d to %d", low, high), Doc: doc,
	}
	return k.with(func(c *Config, v any) error {
		n, err := asInt(v)
		if err != nil || n < low || n > high {
			return errRule
		}
		*at(c) = n
		return nil
	})
}

// toggle is true or false; the environment and --set give it as text.
func toggle(path string, def bool, doc string, at func(*Config) *bool) Key {
	k := Key{Path: path, Type: "boolean", Default: strconv.FormatBool(def), Rule: "true or false", Doc: doc}
	return k.with(func(c *Config, v any) error {
		on, isBool := v.(bool)
		if !isBool {
			s, err := asText(v)
			if err != nil || s != "true" && s != "false" {
				return errRule
			}
			on = s == "true"
		}
		*at(c) = on
		return nil
	})
}

// duration is 0, or a multiple of step up to high.
func duration(path string, step, high time.Duration, doc string, at func(*Config) *time.Duration) Key {
	k := Key{
		Path: path, Type: "duration", Default: "0s",
		Rule: fmt.Sprintf("0s, or a multiple of %s up to %s", step, high), Doc: doc,
	}
	return k.with(func(c *Config, v any) error {
		s, err := asText(v)
		if err != nil {
			return errRule
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d > high || d%step != 0 {
			return errRule
		}
		*at(c) = d
		return nil
	})
}

// span is a duration from low to high.
func span(path string, def, low, high time.Duration, doc string, at func(*Config) *time.Duration) Key {
	k := Key{
		Path: path, Type: "duration", Default: def.String(), Rule: fmt.Sprintf("%s to %s", low, high), Doc: doc,
	}
	return k.with(func(c *Config, v any) error {
		s, err := asText(v)
		if err != nil {
			return errRule
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < low || d > high {
			return errRule
		}
		*at(c) = d
		return nil
	})
}

func list(path, def, rule, doc string, set func(*Config, []string) error) Key {
	k := Key{Path: path, Type: "list", Default: def, Rule: rule, Doc: doc}
	return k.with(func(c *Config, v any) error {
		items, err := asList(v)
		if err != nil {
			return err
		}
		return set(c, items)
	})
}

func (k Key) with(set func(*Config, any) error) Key {
	k.set = set
	return k
}

// asText refuses what YAML made of an unquoted word: 1.10 would have become 1.1.
func asText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	case []any, map[string]any:
		return "", errRule
	}
	return "", errQuote
}

func asInt(v any) (int, error) {
	switch v := v.(type) {
	case int:
		return v, nil
	case string:
		return strconv.Atoi(strings.TrimSpace(v))
	}
	return 0, errRule
}

// asList takes a YAML list of words, or what an environment variable has: words with commas.
func asList(v any) ([]string, error) {
	var items []string
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		for _, x := range v {
			s, err := asText(x)
			if err != nil {
				return nil, err
			}
			items = append(items, s)
		}
		return items, nil
	}
	s, err := asText(v)
	if err != nil || strings.TrimSpace(s) == "" {
		return nil, err
	}
	for item := range strings.SplitSeq(s, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items, nil
}

func setRoles(c *Config, items []string) error {
	roles := make([]Role, 0, len(items))
	for _, s := range items {
		r := Role(s)
		if (r != RoleOrigin && r != RoleEdge) || slices.Contains(roles, r) {
			return errRule
		}
		roles = append(roles, r)
	}
	if len(roles) == 0 {
		return errRule
	}
	c.Node.Roles = roles
	return nil
}

func setVoters(c *Config, items []string) error {
	voters := make([]Voter, 0, len(items))
	for _, s := range items {
		name, addr, _ := strings.Cut(s, "@")
		if checkNodeName(name) != nil || checkAdvertise(addr) != nil {
			return errRule
		}
		for _, v := range voters {
			if v.Name == name || v.Address == addr {
				return errRule
			}
		}
		voters = append(voters, Voter{Name: name, Address: addr})
	}
	c.Cluster.Voters = voters
	return nil
}

func setJoin(c *Config, items []string) error {
	for i, s := range items {
		if checkHostPort(s) != nil || slices.Contains(items[:i], s) {
			return errRule
		}
	}
	c.Cluster.Join = items
	return nil
}

func setLevel(c *Config, v any) error {
	s, err := asText(v)
	if err != nil {
		return err
	}
	level, err := ParseLevel(s)
	if err != nil {
		return errRule
	}
	c.Log.Level = level
	return nil
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(s string) (slog.Level, error) {
	if err := oneOf("debug", "info", "warn", "error")(s); err != nil {
		return 0, fmt.Errorf("log level %q: want debug, info, warn or error", s)
	}
	var level slog.Level
	err := level.UnmarshalText([]byte(s))
	return level, err
}

func optional(ok check) check {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return ok(s)
	}
}

func oneOf(allowed ...string) check {
	return func(s string) error {
		if slices.Contains(allowed, s) {
			return nil
		}
		return errRule
	}
}

func checkNodeName(s string) error {
	if s == "" || len(s) > media.MaxNodeName || s[0] == '-' {
		return errRule
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return errRule
		}
	}
	return nil
}

// checkPlace accepts the name of a region or zone.
func checkPlace(s string) error {
	if s == "" || len(s) > media.MaxPlace || s[0] == '.' {
		return errRule
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return errRule
		}
	}
	return nil
}

// checkListen accepts [HOST]:PORT where HOST needs no look-up.
func checkListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errRule
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errRule
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return errRule
	}
	return nil
}

// checkAdvertise accepts what fits into the gossip.
func checkAdvertise(s string) error {
	if len(s) > media.MaxNodeAddress {
		return errRule
	}
	return checkHostPort(s)
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, " /?#@\t\r\n") {
		return errRule
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errRule
	}
	return nil
}

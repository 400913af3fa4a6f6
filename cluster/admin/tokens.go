package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"tmms/cluster/state"
	"tmms/media"
)

// role is what a caller may do; a higher one includes the lower.
type role int

const (
	roleNone  role = iota // no token, or a wrong one
	roleRead              // look at everything but secrets
	roleAdmin             // change things
)

// minToken is the shortest token that is taken: tokens are compared by a plain
// SHA-256, so they must be random, not a person's password.
const minToken = 16

const hashPrefix = "sha256:"

// caller is who a request comes from.
type caller struct {
	name string
	role role
}

// token is an entry of the tokens file, by the hash of the token.
type token struct {
	caller
	hash [sha256.Size]byte
}

// tokenDoc is a token as the file has it.
type tokenDoc struct {
	Name  string `json:"name"`
	Role  string `json:"role"`  // "read" or "admin"
	Token string `json:"token"` // in the clear, or
	Hash  string `json:"hash"`  // "sha256:" and the hex SHA-256 of the token
}

// NewToken draws a bearer token for the tokens file and gives its entry there, which
// holds the hash alone. role is read or admin; the name must be of letters, digits, '-',
// '_', '.' and '@'.
func NewToken(name, role string) (secret, entry string, err error) {
	var b [newTokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	secret = base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(secret))
	doc := tokenDoc{Name: name, Role: role, Hash: hashPrefix + hex.EncodeToString(sum[:])}
	if _, rule := doc.parse(); rule != "" {
		return "", "", fmt.Errorf("admin: token %.64q: %s", name, rule)
	}
	if strings.Trim(name, plainName) != "" || len(name) > media.MaxName {
		return "", "", fmt.Errorf("admin: token %.64q: name must be 1 to %d letters, digits, '-', '_', '.' and '@'",
			name, media.MaxName)
	}
	return secret, fmt.Sprintf("- {name: %q, role: %s, hash: %q}\n", name, role, doc.Hash), nil
}

// AddToken gives a tokens file with one more entry, as [NewToken] makes it; the name
// must be new.
func AddToken(file []byte, entry string) ([]byte, error) {
	if len(file) > 0 && file[len(file)-1] != '\n' {
		file = append(slices.Clip(file), '\n')
	}
	file = append(slices.Clip(file), entry...)
	if _, err := parseTokens(file); err != nil {
		return nil, fmt.Errorf("admin: tokens file: %w", err)
	}
	return file, nil
}

const (
	newTokenBytes = 32
	plainName     = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@"
)

// loadTokens reads a tokens file; every fault is reported, none shows a token.
func loadTokens(path string) ([]token, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("admin: tokens file: %w", err)
	}
	tokens, err := parseTokens(b)
	if err != nil {
		return nil, fmt.Errorf("admin: tokens file %s: %w", path, err)
	}
	return tokens, nil
}

func parseTokens(b []byte) ([]token, error) {
	var docs []tokenDoc
	if err := state.DecodeYAML(b, &docs); err != nil {
		return nil, err
	}
	var faults state.FaultsError
	names := map[string]bool{}
	tokens := make([]token, 0, len(docs))
	for i, doc := range docs {
		t, rule := doc.parse()
		if rule == "" && names[doc.Name] {
			rule = "the name is used already"
		}
		if rule != "" {
			faults.Faults = append(faults.Faults, state.Fault{
				Path: fmt.Sprintf("tokens[%d]", i), Value: fmt.Sprintf("%.64q", doc.Name), Rule: rule,
			})
		}
		names[doc.Name] = true
		tokens = append(tokens, t)
	}
	if len(tokens) == 0 {
		faults.Faults = append(faults.Faults, state.Fault{Path: "tokens", Rule: "the list is empty"})
	}
	if len(faults.Faults) > 0 {
		return nil, &faults
	}
	return tokens, nil
}

// parse gives the token, or the rule that the entry breaks.
func (d tokenDoc) parse() (t token, rule string) {
	t.name = d.Name
	switch d.Role {
	case "read":
		t.role = roleRead
	case "admin":
		t.role = roleAdmin
	default:
		return t, "role must be read or admin"
	}
	switch {
	case d.Name == "":
		return t, "name is empty"
	case (d.Token == "") == (d.Hash == ""):
		return t, "give either token or hash"
	case d.Token != "" && len(d.Token) < minToken:
		return t, fmt.Sprintf("token must have at least %d bytes", minToken)
	case d.Token != "":
		t.hash = sha256.Sum256([]byte(d.Token))
		return t, ""
	}
	digits, ok := strings.CutPrefix(d.Hash, hashPrefix)
	h, err := hex.DecodeString(digits)
	if !ok || err != nil || len(h) != sha256.Size {
		return t, "hash must be " + hashPrefix + " and 64 hex digits"
	}
	t.hash = [sha256.Size]byte(h)
	return t, ""
}

// identify gives the caller with that token, comparing with all in constant time.
func identify(tokens []token, secret string) caller {
	h := sha256.Sum256([]byte(secret))
	found := -1
	for i := range tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(h[:], tokens[i].hash[:]), i, found)
	}
	if found < 0 {
		return caller{}
	}
	return tokens[found].caller
}

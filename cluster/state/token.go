package state

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tmms/media"
)

// ErrToken is wrapped by [TokenError].
var ErrToken = errors.New("join token refused")

// JoinToken lets nodes without a certificate into the cluster. Its secret is known
// to who has it alone.
type JoinToken struct {
	ID   string `json:"id"`
	Hash string `json:"hash"` // SHA-256 of the secret, in hex
	// What a node may be: its roles are among Roles, its region is Region unless that
	// is "", and its name begins with NamePrefix.
	Roles      []string `json:"roles"`
	Region     string   `json:"region,omitempty"`
	NamePrefix string   `json:"name_prefix,omitempty"`

	AtUnixMS    int64  `json:"at_unix_ms"`
	UntilUnixMS int64  `json:"until_unix_ms"` // from then on it is none
	Uses        int    `json:"uses"`          // how many nodes it still lets in
	By          string `json:"by,omitempty"`  // who asked for it
	// LastNode is who came last by it, with the key whose hash is LastKey.
	LastNode string `json:"last_node,omitempty"`
	LastKey  string `json:"last_key,omitempty"`
}

// PutToken puts a token on the list, from which those leave that have ended by its
// AtUnixMS. The result is nil, or a [TokenError] if there is one of that id.
type PutToken struct {
	Token JoinToken `json:"token"`
}

// UseToken lets a node in: it takes one use off the token that has this secret. The
// same node with the same key is let in again for the same use: it has not got the
// answer. The result is the [JoinToken] as it is then, or a [TokenError].
type UseToken struct {
	ID       string   `json:"id"`
	Hash     string   `json:"hash"` // of the secret that the node has shown
	Node     string   `json:"node"` // its name
	Roles    []string `json:"roles"`
	Region   string   `json:"region,omitempty"`
	Key      string   `json:"key"` // SHA-256 of its public key, in hex
	AtUnixMS int64    `json:"at_unix_ms"`
}

// DropToken takes a token off the list, if ID is not "", and all that have ended by
// AtUnixMS. The result is a [DropResult], or a [TokenError] if there is none of that id.
type DropToken struct {
	ID       string `json:"id,omitempty"`
	AtUnixMS int64  `json:"at_unix_ms"`
}

// TokenError says why a token lets nobody in.
type TokenError struct {
	ID     string
	Reason string
}

// Error names the token.
func (e *TokenError) Error() string { return fmt.Sprintf("%s: %.32q %s", ErrToken, e.ID, e.Reason) }

// Unwrap gives [ErrToken].
func (e *TokenError) Unwrap() error { return ErrToken }

func (PutToken) commandType() string  { return "put_token" }
func (UseToken) commandType() string  { return "use_token" }
func (DropToken) commandType() string { return "drop_token" }

func (c PutToken) apply(s *State) (any, error) {
	if _, there := s.tokens[c.Token.ID]; there {
		return &TokenError{c.Token.ID, "is there already"}, nil
	}
	s.dropTokens(c.Token.AtUnixMS)
	s.tokens[c.Token.ID] = c.Token
	return nil, nil
}

func (c UseToken) apply(s *State) (any, error) {
	t, known := s.tokens[c.ID]
	if !known {
		return noToken(c.ID), nil
	}
	if refusal := t.refuses(c); refusal != nil {
		return refusal, nil //nolint:nilerr // a refusal is a result
	}
	if !t.again(c) {
		t.Uses--
		t.LastNode, t.LastKey = c.Node, c.Key
		s.tokens[c.ID] = t
	}
	return t, nil
}

func (c DropToken) apply(s *State) (any, error) {
	if _, known := s.tokens[c.ID]; c.ID != "" && !known {
		return noToken(c.ID), nil
	}
	before := len(s.tokens)
	delete(s.tokens, c.ID)
	s.dropTokens(c.AtUnixMS)
	return DropResult{Dropped: before - len(s.tokens)}, nil
}

func (s *State) dropTokens(endedByUnixMS int64) {
	maps.DeleteFunc(s.tokens, func(_ string, t JoinToken) bool { return t.UntilUnixMS <= endedByUnixMS })
}

func noToken(id string) error { return &TokenError{id, "is not known: it was revoked, or has ended"} }

// Admits says why the token does not let a node in: a [TokenError].
func (t JoinToken) Admits(c UseToken) error {
	if refusal := t.refuses(c); refusal != nil {
		return refusal
	}
	return nil
}

func (t JoinToken) refuses(c UseToken) *TokenError {
	reason := ""
	switch {
	case subtle.ConstantTimeCompare([]byte(t.Hash), []byte(c.Hash)) == 0:
		reason = "has another secret"
	case t.UntilUnixMS <= c.AtUnixMS:
		reason = "has ended"
	case !strings.HasPrefix(c.Node, t.NamePrefix):
		reason = fmt.Sprintf("is for nodes whose name begins with %q, not for %.64q", t.NamePrefix, c.Node)
	case t.Region != "" && t.Region != c.Region:
		reason = fmt.Sprintf("is for the region %q, not for %.64q", t.Region, c.Region)
	case len(c.Roles) == 0:
		reason = "needs a role"
	case t.Uses <= 0 && !t.again(c):
		reason = "is used up"
	}
	for _, r := range c.Roles {
		if reason == "" && !slices.Contains(t.Roles, r) {
			reason = fmt.Sprintf("is for the roles %q, not for %.64q", t.Roles, r)
		}
	}
	if reason == "" {
		return nil
	}
	return &TokenError{t.ID, reason}
}

// again tells of the node that has come last, with the same key.
func (t JoinToken) again(c UseToken) bool {
	return c.Key == t.LastKey && c.Node == t.LastNode && c.Key != ""
}

// JoinTokens lists the tokens, ordered by id, those that are used up too.
func (s *State) JoinTokens() []JoinToken {
	list := make([]JoinToken, 0, len(s.tokens))
	for _, id := range slices.Sorted(maps.Keys(s.tokens)) {
		list = append(list, s.tokens[id])
	}
	return list
}

// JoinToken gives the token with that id.
func (s *State) JoinToken(id string) (JoinToken, bool) {
	t, ok := s.tokens[id]
	return t, ok
}

// Check implements [Checked].
func (c PutToken) Check() error {
	t := c.Token
	switch life := t.UntilUnixMS - t.AtUnixMS; {
	case !hexOf(t.ID, media.JoinTokenID):
		return fmt.Errorf("token id %.40q, want %d hex digits", t.ID, 2*media.JoinTokenID)
	case !hexOf(t.Hash, sha256.Size):
		return fmt.Errorf("token %s: the hash has %d bytes, want %d hex digits", t.ID, len(t.Hash), 2*sha256.Size)
	case t.Uses < 1 || t.Uses > media.MaxJoinUses:
		return fmt.Errorf("token %s: %d uses, the limits are 1 and %d", t.ID, t.Uses, media.MaxJoinUses)
	case life < media.MinJoinTokenLife.Milliseconds() || life > media.MaxJoinTokenLife.Milliseconds():
		return fmt.Errorf("token %s: a life of %d ms, the limits are %s and %s",
			t.ID, life, media.MinJoinTokenLife, media.MaxJoinTokenLife)
	case t.LastNode != "" || t.LastKey != "":
		return fmt.Errorf("token %s: was used before it is there", t.ID)
	case len(t.Region) > media.MaxPlace || len(t.NamePrefix) > media.MaxNodeName || len(t.By) > media.MaxName:
		return fmt.Errorf("token %s: region, name prefix and who asks have %d, %d and %d bytes, the limits are %d, %d and %d",
			t.ID, len(t.Region), len(t.NamePrefix), len(t.By), media.MaxPlace, media.MaxNodeName, media.MaxName)
	}
	return checkTokenRoles(t.Roles)
}

// Check implements [Checked].
func (c UseToken) Check() error {
	switch {
	case !hexOf(c.ID, media.JoinTokenID) || !hexOf(c.Hash, sha256.Size) || !hexOf(c.Key, sha256.Size):
		return fmt.Errorf("token %.40q: id, hash and key have %d, %d and %d bytes, want %d, %d and %d hex digits",
			c.ID, len(c.ID), len(c.Hash), len(c.Key), 2*media.JoinTokenID, 2*sha256.Size, 2*sha256.Size)
	case c.Node == "" || len(c.Node) > media.MaxNodeName || len(c.Region) > media.MaxPlace:
		return fmt.Errorf("token %s: a node of %d bytes in a region of %d, the limits are %d and %d",
			c.ID, len(c.Node), len(c.Region), media.MaxNodeName, media.MaxPlace)
	}
	return checkTokenRoles(c.Roles)
}

// Check implements [Checked].
func (c DropToken) Check() error {
	if c.ID != "" && !hexOf(c.ID, media.JoinTokenID) {
		return fmt.Errorf("token id %.40q, want %d hex digits", c.ID, 2*media.JoinTokenID)
	}
	return nil
}

func checkTokenRoles(roles []string) error {
	for i, r := range roles {
		if r != "origin" && r != "edge" || slices.Contains(roles[:i], r) {
			return fmt.Errorf("token roles %.64q, want origin, edge or both", roles)
		}
	}
	if len(roles) == 0 {
		return errors.New("token roles: none, want origin, edge or both")
	}
	return nil
}

// hexOf tells of lower-case hex digits of so many bytes.
func hexOf(s string, size int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == size && strings.ToLower(s) == s
}

package enroll

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"tmms/cluster/pki"
	"tmms/media"
)

// tokenVersion begins the text of a token:
//
//	tmms1.ID.SECRET.PIN
//
// ID is hex, SECRET and PIN are base64 for URLs without padding (RFC 4648 section 5).
const tokenVersion = "tmms1"

// maxTokenText bounds the text of a token, in bytes, with a newline around it.
const maxTokenText = 256

// Token lets nodes into a cluster. It shows its secret only by [Token.Text].
type Token struct {
	ID     string
	Secret [media.JoinTokenSecret]byte
	Pin    pki.Pin // of the cluster's CA
}

// NewToken draws a token; its pin is for the caller to set.
func NewToken() Token {
	var t Token
	var id [media.JoinTokenID]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand since Go 1.24)
	_, _ = rand.Read(t.Secret[:])
	t.ID = hex.EncodeToString(id[:])
	return t
}

// Text is the token as its nodes are given it.
func (t Token) Text() string {
	b64 := base64.RawURLEncoding
	return strings.Join([]string{tokenVersion, t.ID, b64.EncodeToString(t.Secret[:]), b64.EncodeToString(t.Pin[:])}, ".")
}

// String names the token.
func (t Token) String() string { return "join token " + t.ID }

// LogValue keeps the secret out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.ID) }

// Hash is what the cluster knows the secret by.
func (t Token) Hash() string { return hashOf(t.Secret[:]) }

func hashOf(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

// errToken never shows what was read: it may be a secret.
var errToken = errors.New("this is no token of tmms token join")

// ParseToken reads what [Token.Text] gives; white space around it is no part of it.
func ParseToken(text string) (Token, error) {
	if len(text) > maxTokenText {
		return Token{}, fmt.Errorf("%w: %d bytes, the limit is %d", errToken, len(text), maxTokenText)
	}
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 4 || parts[0] != tokenVersion {
		return Token{}, fmt.Errorf("%w: want %s.ID.SECRET.PIN", errToken, tokenVersion)
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil || len(id) != media.JoinTokenID || parts[1] != strings.ToLower(parts[1]) {
		return Token{}, fmt.Errorf("%w: its id is not %d hex digits", errToken, 2*media.JoinTokenID)
	}
	t := Token{ID: parts[1]}
	for i, into := range [][]byte{t.Secret[:], t.Pin[:]} {
		b, err := base64.RawURLEncoding.Strict().DecodeString(parts[2+i])
		if err != nil || len(b) != len(into) {
			return Token{}, fmt.Errorf("%w: part %d is not base64 of %d bytes", errToken, 3+i, len(into))
		}
		copy(into, b)
	}
	return t, nil
}

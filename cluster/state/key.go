package state

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// The stored form of a publish key: "pbkdf2-sha256$ITERATIONS$SALT$HASH", salt
// and hash in unpadded URL-safe base64 (RFC 8018 section 5.2, RFC 4648 section 5).
const (
	keyScheme     = "pbkdf2-sha256"
	keyIterations = 20_000 // about 4 ms: a publish costs one, a guesser the same
	keyMaxIter    = 1_000_000
	keyMinSalt    = 8  // bytes
	keyMaxSalt    = 64 // bytes
	// KeySaltSize is the length of a good salt for [HashKey], in bytes.
	KeySaltSize = 16
	// Redacted stands for a publish key in what is shown; see [Document.KeepKeys].
	Redacted = "(redacted)"
)

// storedKey is a parsed stored form.
type storedKey struct {
	iterations int
	salt       string
	hash       [sha256.Size]byte
}

// HashKey gives the stored form of a publish key. Keys of one app should share
// a salt, then checking one against all costs a single derivation.
func HashKey(key string, salt []byte) string {
	h := deriveKey(key, string(salt), keyIterations)
	b64 := base64.RawURLEncoding
	return fmt.Sprintf("%s$%d$%s$%s", keyScheme, keyIterations, b64.EncodeToString(salt), b64.EncodeToString(h[:]))
}

// IsStoredKey tells a key in the form that [HashKey] makes from a plain one.
func IsStoredKey(s string) bool { return strings.HasPrefix(s, keyScheme+"$") }

func deriveKey(key, salt string, iterations int) (h [sha256.Size]byte) {
	b, err := pbkdf2.Key(sha256.New, key, []byte(salt), iterations, len(h))
	if err != nil {
		return h // only in FIPS mode with a short salt; it then matches nothing, see match
	}
	copy(h[:], b)
	return h
}

func parseStoredKey(s string) (storedKey, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 4 || parts[0] != keyScheme {
		return storedKey{}, fmt.Errorf("must be %s$iterations$salt$hash", keyScheme)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 || n > keyMaxIter {
		return storedKey{}, fmt.Errorf("iterations must be 1 to %d", keyMaxIter)
	}
	salt, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(salt) < keyMinSalt || len(salt) > keyMaxSalt {
		return storedKey{}, fmt.Errorf("salt must be base64 of %d to %d bytes", keyMinSalt, keyMaxSalt)
	}
	hash, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || len(hash) != sha256.Size {
		return storedKey{}, fmt.Errorf("hash must be base64 of %d bytes", sha256.Size)
	}
	return storedKey{iterations: n, salt: string(salt), hash: [sha256.Size]byte(hash)}, nil
}

// matchKey gives the index of the stored key that key opens, or -1. The time it
// takes depends on the stored keys only: all are compared, none in part.
func matchKey(keys []storedKey, key string) int {
	found := -1
	var last storedKey
	for i, k := range keys {
		if i == 0 || k.salt != last.salt || k.iterations != last.iterations {
			last = storedKey{iterations: k.iterations, salt: k.salt, hash: deriveKey(key, k.salt, k.iterations)}
		}
		var zero [sha256.Size]byte
		ok := subtle.ConstantTimeCompare(k.hash[:], last.hash[:]) &^
			subtle.ConstantTimeCompare(last.hash[:], zero[:])
		found = subtle.ConstantTimeSelect(ok, i, found)
	}
	return found
}

// KeepKeys replaces each mark [Redacted] by a key of the same app of old, in their
// order, so that a config can be read, changed and applied. An app must have as many
// marks as keys there, or it would not be said which are meant: the error is a
// [FaultsError]. old may be nil.
func (d *Document) KeepKeys(old *Config) error {
	var faults faultList
	for i := range d.Domains {
		dom := &d.Domains[i]
		for j := range dom.Apps {
			app := &dom.Apps[j]
			marks, has := 0, old.findApp(foldHost(dom.Name), app.Name).storedKeys()
			keys := app.publishKeys()
			for k := range keys {
				if keys[k] != Redacted {
					continue
				}
				if marks++; marks <= len(has) {
					keys[k] = has[marks-1]
				}
			}
			if marks != 0 && marks != len(has) {
				faults.add(fmt.Sprintf("domains[%d].apps[%d].auth.publish.keys", i, j), nil,
					"has %d marks %q, and the app has %d keys: keep all or none", marks, Redacted, len(has))
			}
		}
	}
	return faults.err()
}

// HashKeys replaces every plain publish key of d by its stored form. A key that
// the same app of old already knows keeps its stored form, so that applying a
// document twice changes nothing; otherwise newSalt gives a fresh salt, one an
// app. Without newSalt new keys stay plain. d must be valid, without a mark
// [Redacted]; old may be nil. Each key costs some milliseconds.
func (d *Document) HashKeys(old *Config, newSalt func() []byte) {
	for i := range d.Domains {
		dom := &d.Domains[i]
		for j := range dom.Apps {
			app := &dom.Apps[j]
			if keys := app.publishKeys(); len(keys) > 0 {
				hashAppKeys(keys, old.findApp(foldHost(dom.Name), app.Name), newSalt)
			}
		}
	}
}

func hashAppKeys(keys []string, old *App, newSalt func() []byte) {
	var salt []byte
	for i, k := range keys {
		if IsStoredKey(k) || k == Redacted {
			continue
		}
		if stored, ok := old.storedForm(k); ok {
			keys[i] = stored
			continue
		}
		if newSalt == nil {
			continue
		}
		if salt == nil {
			salt = newSalt()
		}
		keys[i] = HashKey(k, salt)
	}
}

// RedactKeys replaces every publish key of d by [Redacted], for eyes that may not see hashes.
func (d *Document) RedactKeys() {
	for i := range d.Domains {
		for j := range d.Domains[i].Apps {
			keys := d.Domains[i].Apps[j].publishKeys()
			for k := range keys {
				keys[k] = Redacted
			}
		}
	}
}

package state

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

const (
	testKey = "s3cret"
	// testStored is HashKey(testKey, "0123456789abcdef"); it must be read for ever.
	testStored = "pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg$jv7faRLOsZjzhwC9r-CcAasmoCixJ-9-HaIvDlkq7io"
)

func TestHashKey(t *testing.T) {
	salt := []byte("0123456789abcdef")
	if got := HashKey(testKey, salt); got != testStored {
		t.Errorf("HashKey is %s", got)
	}
	k, err := parseStoredKey(testStored)
	if err != nil {
		t.Fatal(err)
	}
	want, err := pbkdf2.Key(sha256.New, testKey, salt, k.iterations, 32)
	if err != nil || hex.EncodeToString(k.hash[:]) != hex.EncodeToString(want) {
		t.Errorf("hash %x, want %x, %v", k.hash, want, err)
	}
}

func TestParseStoredKeyRefuses(t *testing.T) {
	hash := testStored[strings.LastIndex(testStored, "$")+1:]
	for _, s := range []string{
		"", "plain", "pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg", testStored + "$",
		"pbkdf2-sha512$20000$MDEyMzQ1Njc4OWFiY2RlZg$" + hash,
		"pbkdf2-sha256$0$MDEyMzQ1Njc4OWFiY2RlZg$" + hash,
		"pbkdf2-sha256$1000001$MDEyMzQ1Njc4OWFiY2RlZg$" + hash,
		"pbkdf2-sha256$x$MDEyMzQ1Njc4OWFiY2RlZg$" + hash,
		"pbkdf2-sha256$20000$c2hvcnQ$" + hash,
		"pbkdf2-sha256$20000$!!$" + hash,
		"pbkdf2-sha256$20000$MDEyMzQ1Njc4OWFiY2RlZg$" + hash[:20],
	} {
		if _, err := parseStoredKey(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// keyed gives a document of one app with publish keys.
func keyed(keys ...string) *Document {
	return &Document{Domains: []DomainDoc{{Name: "Example.COM", Apps: []AppDoc{{
		Name: "live", Auth: &AuthDoc{Publish: &PublishAuthDoc{Keys: keys}},
	}}}}}
}

// Requirement: S5 (publish keys of an app).
func TestPublishKeys(t *testing.T) {
	salts := 0
	salt := func() []byte {
		salts++
		return []byte("0123456789abcdef")
	}
	doc := keyed("one", testStored, "two").Normalize()
	doc.HashKeys(nil, salt)
	cfg, err := NewConfig(1, doc)
	if err != nil {
		t.Fatal(err)
	}
	app := cfg.findApp("example.com", "live")
	for key, want := range map[string]bool{
		"one": true, "two": true, testKey: true, "three": false, "": false, testStored: false,
		strings.Repeat("x", 10_000): false,
	} {
		if app.CheckPublishKey(key) != want {
			t.Errorf("key %.20q: want %v", key, want)
		}
	}
	if app.Open() || app.PublishKeys() != 3 || salts != 1 {
		t.Errorf("open %v, %d keys, %d salts", app.Open(), app.PublishKeys(), salts)
	}

	t.Run("the same keys keep their stored form", func(t *testing.T) {
		again := keyed("one", testKey, "two", "new").Normalize()
		again.HashKeys(cfg, func() []byte { return []byte("another salt, 16") })
		was, is := doc.Domains[0].Apps[0].publishKeys(), again.Domains[0].Apps[0].publishKeys()
		if !slices.Equal(was, is[:3]) || !IsStoredKey(is[3]) {
			t.Errorf("was %v\nis  %v", was, is)
		}
	})
	t.Run("open without keys", func(t *testing.T) {
		cfg, err := NewConfig(1, docOf("d"))
		if err != nil {
			t.Fatal(err)
		}
		if app := cfg.findApp("d", "live"); !app.Open() || !app.CheckPublishKey("") || !app.CheckPublishKey("any") {
			t.Error("not open")
		}
	})
	t.Run("redacted", func(t *testing.T) {
		doc.RedactKeys()
		if keys := doc.Domains[0].Apps[0].publishKeys(); !slices.Equal(keys, []string{Redacted, Redacted, Redacted}) {
			t.Errorf("got %v", keys)
		}
		if _, err := NewConfig(1, doc); err == nil {
			t.Error("a redacted document is a config")
		}
	})
}

func TestPlainKeysAreNotCompiled(t *testing.T) {
	if _, err := NewConfig(1, keyed("plain")); err == nil || strings.Contains(err.Error(), `"plain"`) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkCheckPublishKey(b *testing.B) {
	cfg, err := NewConfig(1, keyed(testStored))
	if err != nil {
		b.Fatal(err)
	}
	app := cfg.findApp("example.com", "live")
	for b.Loop() {
		app.CheckPublishKey("wrong")
	}
}

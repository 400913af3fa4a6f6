package state

import (
	"bytes"
	"encoding/json"
	"testing"
)

// A domains.yaml is taken or refused, and what is taken says the same as JSON.
func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{
		fullYAML, faultyYAML, resolveYAML, "domains: []", "domains:\n- &a {name: a.example}\n- *a\n", "domains: {? [a] : b}",
		"domains: [{name: x, apps: [{name: live, latency: 1h, gop_cache: {bytes: 1GiB}}]}]", "\xef\xbb\xbfdomains: []\n---\na: b\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := ParseYAML(b)
		if err != nil {
			return
		}
		text, err := json.Marshal(doc.Normalize())
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseJSON(text)
		if err != nil {
			t.Fatalf("as JSON: %v\n%s", err, text)
		}
		if same, err := json.Marshal(again.Normalize()); err != nil || !bytes.Equal(text, same) {
			t.Fatalf("%v\n%s\nbecomes\n%s", err, text, same)
		}
	})
}

// A stored publish key is read or refused.
func FuzzStoredKey(f *testing.F) {
	f.Add(HashKey("open-sesame", bytes.Repeat([]byte{7}, KeySaltSize)))
	f.Add("pbkdf2-sha256$1$AA$AA")
	f.Add("$$$")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseStoredKey(s)
		if err == nil && (len(k.salt) < keyMinSalt || k.iterations < 1 || k.iterations > keyMaxIter || !IsStoredKey(s)) {
			t.Errorf("%q is taken as %+v", s, k)
		}
	})
}

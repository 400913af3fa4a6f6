package media

import (
	"strings"
	"testing"
)

// A stream key that is taken is its own text again, and holds nothing that means
// something in a path, a URL, a log line or a shell.
func FuzzParseStreamKey(f *testing.F) {
	for _, s := range []string{"default/live/test", "a/b", "a/b/c/d", "//", "../a/b", "a/b/c\r\nd", "a/%2e%2e/b", "a/b/" + strings.Repeat("x", MaxName+1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseStreamKey(s)
		if err != nil {
			return
		}
		if k.String() != s || strings.ContainsAny(s, "\x00\r\n\t \"'`$;&|<>\\%?#*(){}[]!") || strings.Contains(s, "/.") || s[0] == '.' {
			t.Errorf("%q is taken as %q", s, k)
		}
	})
}

package admin

import (
	"strings"
	"testing"
)

// A tokens file is taken as a whole or refused, and no fault shows a token.
func FuzzParseTokens(f *testing.F) {
	hash := hashPrefix + strings.Repeat("0a", 32)
	f.Add([]byte("- {name: ops, role: admin, token: 0123456789abcdef0123456789abcdef}\n- {name: graphs, role: read, hash: '" + hash + "'}\n"))
	f.Add([]byte("- {name: ops, role: admin}\n- {name: ops, role: king, hash: 'sha256:0'}\n"))
	f.Add([]byte("[]"))
	f.Add([]byte("- &a {name: x}\n- *a\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tokens, err := parseTokens(b)
		if (err == nil) != (len(tokens) > 0) {
			t.Fatalf("%d tokens, %v", len(tokens), err)
		}
		names := map[string]bool{}
		for _, token := range tokens {
			if token.name == "" || names[token.name] || token.role != roleRead && token.role != roleAdmin {
				t.Errorf("token %q of role %d", token.name, token.role)
			}
			names[token.name] = true
		}
		if c := identify(tokens, "no such token"); c.name != "" {
			t.Errorf("a stranger is %q", c.name)
		}
	})
}

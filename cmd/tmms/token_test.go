package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokenUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":                        `want "join"`,
		"frob":                    "frob",
		"join x":                  "unexpected argument",
		"join --roles root":       `role "root"`,
		"join --ttl 59s":          "--ttl 59s",
		"join --ttl 721h":         "want whole seconds from 1m0s to 720h0m0s",
		"join --uses 0":           "--uses 0: want 1 to 10000",
		"list x":                  "unexpected argument",
		"list -o xml":             "want table or json",
		"revoke":                  "want the ID",
		"revoke tmms1.a.secret.b": "want the ID",
		"new":                     "want the NAME",
		"new a --role root":       "role must be read or admin",
		"new a,b":                 "name must be",
	} {
		t.Run(args, func(t *testing.T) {
			r := runProgram(t, nil, append([]string{"token"}, strings.Fields(args)...)...)
			if r.code != 2 || !strings.Contains(r.errOut, want) || strings.Count(r.errOut, "\n") != 1 || strings.Contains(r.errOut, "secret") {
				t.Errorf("%+v, want %q", r, want)
			}
		})
	}
}

// A token of the API is printed once; its file has the hash alone, and keeps its mode.
func TestTokenNew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	made := func(name string) string {
		t.Helper()
		r := runProgram(t, nil, "token", "new", name, "--role", "admin", "--file", file)
		if r.code != 0 || r.errOut != "" || strings.Count(r.out, "\n") != 1 || len(r.out) < 40 {
			t.Fatalf("%+v", r)
		}
		return strings.TrimSpace(r.out)
	}
	a := made("a")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	b := made("b")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, a) || strings.Contains(s, b) || strings.Count(s, "sha256:") != 2 || strings.Count(s, "\n") != 2 {
		t.Errorf("%s", s)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if r := runProgram(t, nil, "token", "new", "a", "--file", file); r.code != 1 || !strings.Contains(r.errOut, "used already") {
		t.Errorf("the same name again: %+v", r)
	}
	if r := runProgram(t, nil, "token", "new", "c"); r.code != 0 || !strings.Contains(r.errOut, "role: read") {
		t.Errorf("without a file: %+v", r)
	}
}

package id3

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"tmms/media"
)

func TestAppendTXXX(t *testing.T) {
	for _, c := range []struct{ name, description, value, want string }{
		{"text", "onCuePoint", "{}", "ID3\x04\x00\x00\x00\x00\x00\x18TXXX\x00\x00\x00\x0e\x00\x00\x03onCuePoint\x00{}"},
		{"empty", "", "", "ID3\x04\x00\x00\x00\x00\x00\x0cTXXX\x00\x00\x00\x02\x00\x00\x03\x00"},
		{"nul", "a\x00b", "c\x00", "ID3\x04\x00\x00\x00\x00\x00\x0eTXXX\x00\x00\x00\x04\x00\x00\x03a\x00c"},
		{"not-utf-8", "a", "\xff", "ID3\x04\x00\x00\x00\x00\x00\x10TXXX\x00\x00\x00\x06\x00\x00\x03a\x00\uFFFD"},
		{"128", "", strings.Repeat("x", 126), "ID3\x04\x00\x00\x00\x00\x01\x0aTXXX\x00\x00\x01\x00\x00\x00\x03\x00" + strings.Repeat("x", 126)},
	} {
		if got := AppendTXXX([]byte("b"), c.description, c.value); string(got) != "b"+c.want {
			t.Errorf("%s: got %q, want %q", c.name, got[1:], c.want)
		}
	}
	most := strings.Repeat("x", media.MaxTimedMetadata-22)
	if got := AppendTXXX(nil, "", most); len(got) != media.MaxTimedMetadata {
		t.Errorf("the longest tag has %d bytes", len(got))
	}
	if got := AppendTXXX([]byte("b"), "y", most); string(got) != "b" {
		t.Errorf("a tag that is too long has %d bytes", len(got))
	}
}

// FuzzAppendTXXX: whatever the texts, the sizes are right and the text is UTF-8.
func FuzzAppendTXXX(f *testing.F) {
	f.Add("onTextData", `{"text":"hello"}`)
	f.Add("\x00\xff", "\xc3")
	f.Fuzz(func(t *testing.T, description, value string) {
		b := AppendTXXX(nil, description, value)
		if len(b) == 0 {
			return
		}
		size := func(b []byte) int { return int(b[0])<<21 | int(b[1])<<14 | int(b[2])<<7 | int(b[3]) }
		if size(b[6:]) != len(b)-10 || size(b[14:]) != len(b)-20 || len(b) > media.MaxTimedMetadata {
			t.Fatalf("%d bytes: % x", len(b), b[:20])
		}
		if text := b[21:]; !utf8.Valid(text) || bytes.Count(text, []byte{0}) != 1 {
			t.Fatalf("text %q", text)
		}
	})
}

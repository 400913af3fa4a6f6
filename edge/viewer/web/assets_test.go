package web

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// The vendored players are those that the table beside them names.
func TestVendoredPlayersAreWhatTheTableSays(t *testing.T) {
	table, err := os.ReadFile("assets/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, version := range map[string]string{"hls.min.js": "1.7.4", "mpegts.js": "1.8.2"} {
		data, err := os.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		found := false
		for line := range strings.Lines(string(table)) {
			if strings.HasPrefix(line, "| `"+name+"`") {
				found = strings.Contains(line, hex.EncodeToString(sum[:])) && strings.Contains(line, version)
			}
		}
		if !found {
			t.Errorf("%s: the table does not have %x and %s", name, sum, version)
		}
	}
	for _, licence := range []string{"hls.LICENSE", "mpegts.LICENSE", "mpegts.es6-promise.LICENSE"} {
		if _, err := os.Stat("assets/" + licence); err != nil {
			t.Error(err)
		}
	}
}

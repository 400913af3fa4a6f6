package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected states of the golden logs")

// golden is what a log leaves behind.
type golden struct {
	Results []any `json:"results"`
	State   image `json:"state"`
}

// replay applies a log of one command a line; # starts a comment.
func replay(t *testing.T, path string) (*State, []any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, results := New(), []any{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		result, err := s.Apply(s.Index()+1, []byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if refusal, ok := result.(error); ok {
			result = "refused: " + refusal.Error()
		}
		results = append(results, result)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return s, results
}

// The logs of old versions must lead every later version to the same state, or
// a rolling upgrade would tear the replicas apart.
func TestGoldenLogs(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.jsonl")
	if err != nil || len(logs) == 0 {
		t.Fatalf("no golden logs: %v", err)
	}
	for _, path := range logs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s, results := replay(t, path)
			got, err := json.MarshalIndent(golden{Results: results, State: s.image()}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			want := strings.TrimSuffix(path, ".jsonl") + ".json"
			if *update {
				if err = os.WriteFile(want, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			expected, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, expected) {
				t.Errorf("the state differs from %s:\n%s", want, got)
			}
			again, _ := replay(t, path)
			a, errA := s.Snapshot()
			b, errB := again.Snapshot()
			if errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
				t.Error("two replays give different snapshots")
			}
		})
	}
}

package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Requirement: S2 (log: text and JSON, level at run time).
func TestFormatsAndLevel(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			l, err := New(Config{Level: slog.LevelInfo, Format: format}, &out)
			if err != nil {
				t.Fatal(err)
			}
			l.Debug("hidden")
			l.Level.Set(slog.LevelDebug)
			l.Debug("shown", slog.String("stream", "a/b/c"))
			l.Level.Set(slog.LevelError)
			l.Warn("hidden too")
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 1 || !strings.Contains(lines[0], "shown") || !strings.Contains(lines[0], "a/b/c") {
				t.Fatalf("got %q", lines)
			}
			if format == "json" && !json.Valid([]byte(lines[0])) {
				t.Errorf("not JSON: %s", lines[0])
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Requirement: S2 (log with rotation): a full file is kept under another name
// and no line is lost.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tmms.log")
	l, err := New(Config{File: path, MaxSizeMB: 1, MaxBackups: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 3000
	filler := strings.Repeat("x", 500)
	for i := range lines {
		l.Info("line", slog.Int("n", i), slog.String("filler", filler))
	}
	if err = l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "tmms*.log"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v; want the log and one rotated file", files, err)
	}
	total := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 1<<20 {
			t.Errorf("%s has %d bytes, the limit is 1 MiB", f, len(b))
		}
		total += bytes.Count(b, []byte("\n"))
	}
	if total != lines {
		t.Errorf("%d lines in all files, want %d", total, lines)
	}
}

func TestUnwritableFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "such", "log")} {
		if _, err := New(Config{File: path, MaxSizeMB: 1}, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: err = %v, want one that names the file", path, err)
		}
	}
}

package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// section is what real servers of this kind got wrong in one area, by name.
type section struct {
	name  string
	cases []string
}

// sections name the cases. A test that proves one carries its name: as the test's
// or a subtest's, in what it says when it fails, or in its comment.
func sections() []section {
	return []section{
		{"RTMP chunks", []string{
			"chunk-ext-type3", "chunk-ext-delta", "chunk-ext-boundary", "ts-wrap", "chunk-interleave", "chunk-abort",
			"csid-1-byte", "csid-2-byte", "csid-3-byte", "chunk-size-1", "chunk-size-change", "aggregate-22",
			"length changes midway",
		}},
		{"RTMP sessions", []string{
			"ack-4GiB", "ping", "eof", "fc-order", "hs-simple", "hs-digest-0", "hs-digest-1", "url", "name", "busy", "takeover",
		}},
		{"Enhanced RTMP", []string{
			"ertmp-caps", "ertmp-codecs", "ertmp-latejoin", "ertmp-x", "ertmp-multitrack", "ertmp-modex", "ertmp-reconnect",
			"hevc-codecid12",
		}},
		{"media", []string{
			"asc-adts", "mp3-rate", "avcc", "aud-once", "sps-pps-each-idr", "b-frames", "negative-cts", "audio-only", "video-only",
			"late-audio", "no-metadata", "codec-change", "repeated-headers", "huge-idr", "gop-20s", "low-fps", "10k-fps",
		}},
		{"LL-HLS", []string{
			"blocking reload", "msn > last + 2", "waiting has a limit", "a part past the end", "PART-HOLD-BACK",
			"the preload hint is exactly the next part", "delta updates only where allowed",
		}},
		{"HLS", []string{
			"target-round", "huge-gop", "disc-once", "disc-sequence", "pdt", "republish", "a segment that left the playlist", "ENDLIST",
		}},
	}
}

// TestEachCaseHasATest looks for the names in all tests.
func TestEachCaseHasATest(t *testing.T) {
	said := testTexts(t)
	for _, s := range sections() {
		for _, name := range s.cases {
			if !said.carry(name) {
				t.Errorf("%s: no test carries the name %s", s.name, name)
			}
		}
	}
	if said.carry("no-such" + "-case") {
		t.Error("a case that is not there was found")
	}
}

// texts are what tests say.
type texts struct{ literals, comments []string }

// testTexts reads the string literals and comments of all tests but this one.
func testTexts(t *testing.T) (all texts) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.'):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go") || d.Name() == "cases_test.go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, c := range file.Comments {
			all.comments = append(all.comments, strings.Join(strings.Fields(c.Text()), " "))
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					all.literals = append(all.literals, s)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// carry finds a name at the beginning of a literal or of a part of a subtest's
// name, or in a comment; a plain word only where the comment says that it means a
// case.
func (x texts) carry(name string) bool {
	for _, s := range x.literals {
		for part := range strings.SplitSeq(s, "/") {
			if rest, ok := strings.CutPrefix(part, name); ok && (rest == "" || !wordByte(rest[0])) {
				return true
			}
		}
	}
	for _, s := range x.comments {
		if !strings.ContainsAny(name, "- ") {
			s = afterCase(s)
		}
		for rest := s; ; {
			i := strings.Index(rest, name)
			if i < 0 {
				break
			}
			end := i + len(name)
			if (i == 0 || !wordByte(rest[i-1])) && (end == len(rest) || !wordByte(rest[end])) {
				return true
			}
			rest = rest[end:]
		}
	}
	return false
}

// afterCase is what a comment says behind the word for a case.
func afterCase(s string) string {
	for _, word := range []string{"CASES ", "case ", "cases "} {
		if _, rest, ok := strings.Cut(s, word); ok {
			return rest
		}
	}
	return ""
}

// wordByte tells what goes on with a name.
func wordByte(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

package terraform

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of the modules' README.md")

// modules are the folders with a module or a root module in them.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, pattern := range []string{"modules/*", "examples/*", "local"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range found {
			if _, err := os.Stat(filepath.Join(dir, "versions.tf")); err == nil {
				dirs = append(dirs, dir)
			}
		}
	}
	if len(dirs) < 2 {
		t.Fatalf("modules %q: want plan and user-data at least", dirs)
	}
	return dirs
}

// block is a variable or an output, its arguments as they are written.
type block struct {
	name string
	args map[string]string
}

// blocks reads the blocks of a kind from a file that terraform fmt has formatted: a block
// begins and ends at the line's first column, its arguments at the third.
func blocks(t *testing.T, path, kind string) (all []block) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := regexp.MustCompile(`^` + kind + ` "([a-z0-9_]+)" \{$`)
	arg := regexp.MustCompile(`^  ([a-z_]+) += (.*)$`)
	var now *block
	last := ""
	for line := range strings.SplitSeq(string(raw), "\n") {
		switch m, a := head.FindStringSubmatch(line), arg.FindStringSubmatch(line); {
		case m != nil:
			all = append(all, block{m[1], map[string]string{}})
			now = &all[len(all)-1]
		case now == nil:
		case line == "}":
			now = nil
		case a != nil:
			last = a[1]
			now.args[last] = a[2]
		case regexp.MustCompile(`^  [a-z_]+ \{$`).MatchString(line):
			last = "" // a block within, such as validation
		case last != "":
			now.args[last] += "\n" + line
		}
	}
	return all
}

var (
	lineEnd = regexp.MustCompile(`([^({\[,\s])\n\s*([^)}\]\s])`)
	gap     = regexp.MustCompile(`\s+`)
)

// cell is an argument as a cell of a table, on one line, with commas where its lines end.
func cell(value string) string {
	value = lineEnd.ReplaceAllString(value, "$1, $2")
	value = strings.ReplaceAll(gap.ReplaceAllString(value, " "), "|", `\|`)
	return "`" + strings.TrimSpace(value) + "`"
}

// prose is a description without its quotes.
func prose(t *testing.T, where, description string) string {
	t.Helper()
	text := strings.TrimSpace(description)
	if len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' {
		t.Errorf("%s: description %s: want a text", where, description)
		return ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`), "|", `\|`)
}

// tables renders a module's inputs and outputs.
func tables(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| input | type | default | meaning |\n|---|---|---|---|\n")
	for _, v := range blocks(t, filepath.Join(dir, "variables.tf"), "variable") {
		where := dir + ": variable " + v.name
		if v.args["type"] == "" {
			t.Errorf("%s: want a type", where)
		}
		fallback := "none"
		if d, ok := v.args["default"]; ok {
			fallback = cell(d)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.name, cell(v.args["type"]), fallback, prose(t, where, v.args["description"]))
	}
	b.WriteString("\n| output | meaning |\n|---|---|\n")
	for _, o := range blocks(t, filepath.Join(dir, "outputs.tf"), "output") {
		fmt.Fprintf(&b, "| `%s` | %s |\n", o.name, prose(t, dir+": output "+o.name, o.args["description"]))
	}
	return b.String()
}

const (
	tablesBegin = "<!-- tables: go test ./deploy/terraform -run TestTables -update -->\n"
	tablesEnd   = "<!-- end of tables -->\n"
)

// TestTables holds the tables of every README.md to the module beside it.
//
// Requirement: C7.
func TestTables(t *testing.T) {
	for _, dir := range modules(t) {
		t.Run(dir, func(t *testing.T) {
			path := filepath.Join(dir, "README.md")
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			before, rest, ok := strings.Cut(string(raw), tablesBegin)
			_, after, closed := strings.Cut(rest, tablesEnd)
			if !ok || !closed {
				t.Fatalf("%s: want the tables between %q and %q", path, tablesBegin, tablesEnd)
			}
			want := before + tablesBegin + tables(t, dir) + tablesEnd + after
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if string(raw) != want {
				t.Errorf("%s is not what the module has: go test ./deploy/terraform -run TestTables -update", path)
			}
		})
	}
}

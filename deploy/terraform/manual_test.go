package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manual is the table of docs/operations.md under "Deployed with Terraform", by what is
// to be done.
type manual map[string]*instruction

type instruction struct {
	change []string   // code in the second column: names of variables
	run    [][]string // code in the third column: commands, word by word
	done   bool
}

var code = regexp.MustCompile("`([^`]+)`")

func readManual(t *testing.T) manual {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n## Deployed with Terraform\n")
	_, table, _ := strings.Cut(section, "\n| to | change | and run |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	m := manual{}
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 3 {
			t.Fatalf("docs/operations.md: %q: want three columns", line)
		}
		i := &instruction{}
		for _, c := range code.FindAllStringSubmatch(cells[1], -1) {
			i.change = append(i.change, c[1])
		}
		for _, c := range code.FindAllStringSubmatch(cells[2], -1) {
			i.run = append(i.run, strings.Fields(strings.ReplaceAll(c[1], "'", "")))
		}
		m[cells[0]] = i
	}
	return m
}

// follow does what the manual says: sets the variables that it names, and runs its
// commands, those of tmms on eu-o1. word and its value stand for the NODE or FILE in them.
func (l *lab) follow(m manual, to string, vars map[string]string, word, value string) error {
	l.t.Helper()
	i := m[to]
	if i == nil || len(i.run) == 0 {
		return fmt.Errorf("docs/operations.md does not say how to %s", to) //nolint:err113 // for the test's log
	}
	for name, value := range vars {
		if !slices.Contains(i.change, name) {
			return fmt.Errorf("docs/operations.md: to %s: it names %q to be changed, not %s", to, i.change, name) //nolint:err113 // for the test's log
		}
		l.vars[name] = value
	}
	i.done = true
	for _, argv := range i.run {
		args := slices.Clone(argv[1:])
		for n := range args {
			args[n] = strings.ReplaceAll(args[n], word, value)
		}
		var err error
		if argv[0] == "terraform" {
			err = l.change(args[0], args[1:]...)
		} else {
			_, err = l.tmms("eu-o1", args...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check holds the manual to have nothing that was not done; destroy is how a lab ends.
func (m manual) check() (err error) {
	for to, i := range m {
		end := to == "destroy" && len(i.run) == 1 && slices.Equal(i.run[0], []string{"terraform", "destroy"})
		if !i.done && !end {
			err = errors.Join(err, fmt.Errorf("docs/operations.md: to %s: %q was not tried", to, i.run)) //nolint:err113 // for the test's log
		}
	}
	return err
}

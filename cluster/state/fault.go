package state

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one thing wrong with a document: where, what was found there, and
// the rule that it breaks.
type Fault struct {
	Path  string `json:"path"`
	Value string `json:"value"`
	Rule  string `json:"rule"`
}

// String gives "path: value: rule" on one line.
func (f Fault) String() string {
	if f.Value == "" {
		return f.Path + ": " + f.Rule
	}
	return f.Path + ": " + f.Value + ": " + f.Rule
}

// FaultsError is every fault of a document at once, in the document's order.
type FaultsError struct {
	Faults []Fault
}

// Error lists the faults, one a line.
func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// JoinFaults makes one [FaultsError] of the faults in errs; nil errors are left
// out. The first error that is not a FaultsError is returned as it is.
func JoinFaults(errs ...error) error {
	var all faultList
	for _, err := range errs {
		var fe *FaultsError
		switch {
		case err == nil:
		case errors.As(err, &fe):
			all = append(all, fe.Faults...)
		default:
			return err
		}
	}
	return all.err()
}

// maxFaults bounds a report: the thousandth fault helps nobody.
const maxFaults = 200

// faultList collects faults while a document is walked.
type faultList []Fault

func (l *faultList) add(path string, value any, rule string, args ...any) {
	if isSecret(path) {
		value = nil
	}
	if len(*l) < maxFaults {
		*l = append(*l, Fault{Path: path, Value: show(value), Rule: fmt.Sprintf(rule, args...)})
	}
}

// isSecret tells whether what is written at a path, or in its place by mistake, may
// be a publish key or a token: a fault does not show it.
func isSecret(path string) bool {
	return strings.Contains(path, ".auth") || strings.HasSuffix(path, ".token")
}

func (l *faultList) err() error {
	if len(*l) == 0 {
		return nil
	}
	return &FaultsError{Faults: *l}
}

// maxShown bounds a value in a fault or in an error, in bytes.
const maxShown = 80

// show prints a value for a person: texts quoted, long ones cut, groups and
// lists only named.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return fmt.Sprintf("%q", clip(v))
	case map[string]any, map[any]any:
		return "a group"
	case []any:
		return "a list"
	}
	return clip(fmt.Sprint(v))
}

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return s[:maxShown] + "..."
}

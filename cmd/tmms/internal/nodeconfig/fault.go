package nodeconfig

import (
	"fmt"
	"strings"
)

// FaultError is one thing that is wrong with a configuration.
type FaultError struct {
	Path   string // the key, such as "listen.rtmp"
	Value  string // as it was given, quoted if it is text
	Source string // where it came from, such as "node.yaml" or "TMMS_LISTEN__RTMP"; "" for the whole
	Rule   string // what is allowed
}

// Error gives path, value, source and rule in one line.
func (f FaultError) Error() string {
	var b strings.Builder
	b.WriteString(f.Path)
	if f.Value != "" {
		b.WriteString(" = " + f.Value)
	}
	if f.Source != "" {
		b.WriteString(" (" + f.Source + ")")
	}
	return b.String() + ": " + f.Rule
}

// show gives a value as a reader would write it; long ones are cut.
func show(v any) string {
	const limit = 80
	s := fmt.Sprintf("%v", v)
	if t, ok := v.(string); ok {
		s = fmt.Sprintf("%q", t)
	}
	if v == nil {
		s = "null"
	}
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

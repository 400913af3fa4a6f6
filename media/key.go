package media

import (
	"errors"
	"fmt"
	"strings"
)

// ErrName is wrapped by every error that refuses a domain, app or stream name.
var ErrName = errors.New("bad name")

// StreamKey names a stream in the whole cluster: the canonical name of the
// domain that matched, the app and the stream. It is comparable and a map key.
type StreamKey struct {
	Domain, App, Stream string
}

// String gives domain/app/stream, the form that logs, metrics and the API use.
func (k StreamKey) String() string { return k.Domain + "/" + k.App + "/" + k.Stream }

// ParseStreamKey is the reverse of String.
func ParseStreamKey(s string) (StreamKey, error) {
	domain, rest, ok := strings.Cut(s, "/")
	app, stream, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return StreamKey{}, fmt.Errorf("%w: stream key %q is not domain/app/stream", ErrName, s)
	}
	k := StreamKey{Domain: domain, App: app, Stream: stream}
	return k, k.Validate()
}

// Validate checks each part with [CheckName].
func (k StreamKey) Validate() error {
	if err := CheckName("domain", k.Domain); err != nil {
		return err
	}
	if err := CheckName("app", k.App); err != nil {
		return err
	}
	return CheckName("stream", k.Stream)
}

// CheckName accepts a name of 1 to [MaxName] bytes made of letters, digits and
// "-_.~@+=:," that does not start with a dot; kind ("app", "stream") is only
// for the message. What it accepts is safe unescaped in a URL path, a file
// name, a log line and a shell word.
func CheckName(kind, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: %s is empty", ErrName, kind)
	case len(name) > MaxName:
		return fmt.Errorf("%w: %s has %d bytes, the limit is %d", ErrName, kind, len(name), MaxName)
	case name[0] == '.':
		return fmt.Errorf("%w: %s %q starts with a dot", ErrName, kind, name)
	}
	for i := range len(name) {
		if !nameByte(name[i]) {
			return fmt.Errorf("%w: %s %q has the byte %q", ErrName, kind, name, name[i])
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("-_.~@+=:,", c) >= 0
}

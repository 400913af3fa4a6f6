package hls

import (
	"strconv"
	"strings"
)

// NameKind is what a name is of.
type NameKind uint8

// The kinds of names.
const (
	NameTS   NameKind = iota // EPOCH-MSN.ts: a segment in MPEG-TS
	NameMP4                  // EPOCH-MSN.m4s: a segment in fragmented MP4
	NamePart                 // EPOCH-MSN.PART.m4s: a part of it, from 0
	NameInit                 // init-EPOCH-VERSION.mp4: an initialization section
)

// Name is a file of a stream beside its playlists. A file has one name, and what
// is under a name never changes.
type Name struct {
	Kind       NameKind
	Epoch, MSN uint64
	Number     uint64 // of the part, or the version of the initialization section; else 0
}

const (
	extTS      = ".ts"
	extMP4     = ".m4s"
	extInit    = ".mp4"
	prefixInit = "init-"
)

// maxDigits are those of the largest uint64.
const maxDigits = 20

// SegmentName is the file name of a segment in MPEG-TS.
func SegmentName(epoch, msn uint64) string { return Name{Epoch: epoch, MSN: msn}.String() }

// String gives the file name.
func (n Name) String() string { return string(n.Append(make([]byte, 0, 3*maxDigits+8))) }

// Append appends the file name.
func (n Name) Append(b []byte) []byte {
	if n.Kind == NameInit {
		b = strconv.AppendUint(append(b, prefixInit...), n.Epoch, 10)
		b = strconv.AppendUint(append(b, '-'), n.Number, 10)
		return append(b, extInit...)
	}
	b = strconv.AppendUint(b, n.Epoch, 10)
	b = strconv.AppendUint(append(b, '-'), n.MSN, 10)
	switch n.Kind {
	case NameTS:
		return append(b, extTS...)
	case NamePart:
		b = strconv.AppendUint(append(b, '.'), n.Number, 10)
	case NameMP4, NameInit:
	}
	return append(b, extMP4...)
}

// ParseName is the reverse of [Name.String] and accepts nothing else: no sign, no
// leading zero, no number over 64 bits, so a file has one name.
func ParseName(s string) (Name, bool) {
	if n, ok := parseName(s); ok {
		return n, true
	}
	return Name{}, false
}

func parseName(s string) (n Name, ok bool) {
	if rest, is := strings.CutPrefix(s, prefixInit); is {
		n.Kind = NameInit
		if rest, ok = strings.CutSuffix(rest, extInit); !ok {
			return Name{}, false
		}
		n.Epoch, n.Number, ok = parsePair(rest, "-")
		return n, ok
	}
	rest, isTS := strings.CutSuffix(s, extTS)
	if isTS {
		n.Epoch, n.MSN, ok = parsePair(rest, "-")
		return n, ok
	}
	if rest, ok = strings.CutSuffix(s, extMP4); !ok {
		return Name{}, false
	}
	n.Kind = NameMP4
	epoch, rest, _ := strings.Cut(rest, "-")
	if n.Epoch, ok = parseNumber(epoch); !ok {
		return Name{}, false
	}
	if strings.IndexByte(rest, '.') < 0 {
		n.MSN, ok = parseNumber(rest)
		return n, ok
	}
	n.Kind = NamePart
	n.MSN, n.Number, ok = parsePair(rest, ".")
	return n, ok
}

func parsePair(s, sep string) (a, b uint64, ok bool) {
	left, right, ok := strings.Cut(s, sep)
	if !ok {
		return 0, 0, false
	}
	if a, ok = parseNumber(left); !ok {
		return 0, 0, false
	}
	if b, ok = parseNumber(right); !ok {
		return 0, 0, false
	}
	return a, b, true
}

func parseNumber(s string) (uint64, bool) {
	if s == "" || len(s) > maxDigits || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

package hls

import (
	"strconv"
	"strings"
)

// extTS ends the name of a segment in MPEG-TS.
const extTS = ".ts"

// maxDigits are those of the largest uint64.
const maxDigits = 20

// SegmentName is the file name of a segment: EPOCH-MSN.ts.
func SegmentName(epoch, msn uint64) string {
	return string(appendName(make([]byte, 0, 2*maxDigits+4), epoch, msn))
}

func appendName(b []byte, epoch, msn uint64) []byte {
	b = strconv.AppendUint(b, epoch, 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, msn, 10)
	return append(b, extTS...)
}

// ParseSegmentName is the reverse of [SegmentName] and accepts nothing else:
// no sign, no leading zero, no number over 64 bits, so a segment has one name.
func ParseSegmentName(s string) (epoch, msn uint64, ok bool) {
	s, ok = strings.CutSuffix(s, extTS)
	if !ok {
		return 0, 0, false
	}
	left, right, ok := strings.Cut(s, "-")
	if !ok {
		return 0, 0, false
	}
	epoch, ok = parseNumber(left)
	if !ok {
		return 0, 0, false
	}
	if msn, ok = parseNumber(right); !ok {
		return 0, 0, false
	}
	return epoch, msn, true
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

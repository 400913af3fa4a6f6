package web

import (
	"strconv"
	"strings"
)

// byteRange is a part of a body: from 0 <= from <= to <= size.
type byteRange struct{ from, to int64 }

// parseRange reads a Range header of a request for size bytes (RFC 9110
// section 14.2). whole: answer with all of it, because there is no range, or
// none that we understand (a list of ranges is one such). ok = false: the range
// lies outside.
func parseRange(header string, size int64) (r byteRange, whole, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	if !found || strings.Contains(spec, ",") {
		return byteRange{0, size}, true, true
	}
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return byteRange{0, size}, true, true
	}
	if first == "" { // the last bytes
		n, good := parsePosition(last)
		if !good {
			return byteRange{0, size}, true, true
		}
		return byteRange{max(0, size-n), size}, false, n > 0 && size > 0
	}
	from, good := parsePosition(first)
	to := size - 1
	if last != "" {
		end, fine := parsePosition(last)
		good = good && fine && end >= from
		to = min(to, end)
	}
	if !good {
		return byteRange{0, size}, true, true
	}
	return byteRange{from, to + 1}, false, from < size
}

// parsePosition reads digits; a number over 63 bits is as good as the largest.
func parsePosition(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 2, true
	}
	return min(n, 1<<63-2), true
}

// matches tells whether an If-None-Match header names the tag (RFC 9110 section
// 13.1.2).
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}

// contentRange is the Content-Range of a part.
func (r byteRange) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(r.from, 10) + "-" + strconv.FormatInt(r.to-1, 10) + "/" +
		strconv.FormatInt(size, 10)
}

// unsatisfied is the Content-Range of an answer to a range that lies outside.
func unsatisfied(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

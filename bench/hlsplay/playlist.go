package hlsplay

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxTarget bounds the target duration that is believed.
const maxTarget = time.Minute

// playlist is a media playlist (RFC 8216 section 4.3.3).
type playlist struct {
	target   time.Duration
	first    uint64 // media sequence number of segments[0]
	segments []segment
}

// segment is one entry.
type segment struct {
	path     string
	duration time.Duration
	end      time.Time // by EXT-X-PROGRAM-DATE-TIME; zero if it has none
}

// last is the number after the last segment's.
func (p *playlist) last() uint64 { return p.first + uint64(len(p.segments)) }

// parsePlaylist reads a media playlist that was fetched from base. Of its tags it
// knows those that a player of a plain live stream needs.
func parsePlaylist(base *url.URL, b []byte) (*playlist, error) {
	if !bytes.HasPrefix(b, []byte("#EXTM3U")) {
		return nil, fmt.Errorf("hlsplay: %s is not a playlist", base.Path)
	}
	p := &playlist{}
	var next segment
	var start time.Time
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		tag, value, _ := strings.Cut(line, ":")
		var err error
		switch {
		case tag == "#EXT-X-TARGETDURATION":
			p.target, err = parseSeconds(value)
		case tag == "#EXT-X-MEDIA-SEQUENCE":
			p.first, err = strconv.ParseUint(value, 10, 63)
		case tag == "#EXTINF":
			length, _, _ := strings.Cut(value, ",")
			next.duration, err = parseSeconds(length)
		case tag == "#EXT-X-PROGRAM-DATE-TIME":
			start, err = time.Parse(time.RFC3339Nano, value)
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			if next.path, err = resolve(base, line); !start.IsZero() {
				start = start.Add(next.duration)
				next.end = start
			}
			p.segments = append(p.segments, next)
			next = segment{}
		}
		if err != nil {
			return nil, fmt.Errorf("hlsplay: %s: %q: %w", base.Path, line, err)
		}
	}
	if p.target <= 0 || p.target > maxTarget {
		return nil, fmt.Errorf("hlsplay: %s: target duration %v is not in 1s..%v", base.Path, p.target, maxTarget)
	}
	return p, nil
}

// parseMultivariant gives the path of the first variant.
func parseMultivariant(base *url.URL, b []byte) (string, error) {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return resolve(base, line)
		}
	}
	return "", fmt.Errorf("hlsplay: %s has no variant", base.Path)
}

func parseSeconds(s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f <= 86400) {
		return 0, fmt.Errorf("%q is not a duration in seconds", s)
	}
	return time.Duration(f * float64(time.Second)), nil
}

// resolve gives the path and query of a reference.
func resolve(base *url.URL, ref string) (string, error) {
	u, err := base.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("hlsplay: %w", err)
	}
	if u.Opaque != "" {
		return "", fmt.Errorf("hlsplay: %q has no path", ref)
	}
	return u.RequestURI(), nil
}

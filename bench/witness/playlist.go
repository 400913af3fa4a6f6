package witness

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// playlist is a media playlist (RFC 8216 section 4.3.3), as far as it is looked at.
type playlist struct {
	target        time.Duration
	first         uint64 // EXT-X-MEDIA-SEQUENCE
	discontinuity uint64 // EXT-X-DISCONTINUITY-SEQUENCE
	segments      []segment
}

// segment is one entry.
type segment struct {
	uri           string
	duration      time.Duration
	discontinuity bool // EXT-X-DISCONTINUITY in front of it
}

// next is the number behind the last segment's.
func (p *playlist) next() uint64 { return p.first + uint64(len(p.segments)) }

// maxSegments bounds a playlist.
const maxSegments = 1000

// parsePlaylist reads a media playlist.
func parsePlaylist(b []byte) (*playlist, error) {
	if !bytes.HasPrefix(b, []byte("#EXTM3U")) {
		return nil, fmt.Errorf("witness: %.40q is no playlist", b)
	}
	p := &playlist{}
	var s segment
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		tag, value, _ := strings.Cut(line, ":")
		var err error
		switch {
		case tag == "#EXT-X-TARGETDURATION":
			p.target, err = seconds(value)
		case tag == "#EXT-X-MEDIA-SEQUENCE":
			p.first, err = strconv.ParseUint(value, 10, 62)
		case tag == "#EXT-X-DISCONTINUITY-SEQUENCE":
			p.discontinuity, err = strconv.ParseUint(value, 10, 62)
		case tag == "#EXT-X-DISCONTINUITY":
			s.discontinuity = true
		case tag == "#EXTINF":
			length, _, _ := strings.Cut(value, ",")
			s.duration, err = seconds(length)
		case line == "" || line[0] == '#':
		case len(p.segments) == maxSegments:
			return nil, fmt.Errorf("witness: a playlist has more than %d segments", maxSegments)
		default:
			s.uri = line
			p.segments, s = append(p.segments, s), segment{}
		}
		if err != nil {
			return nil, fmt.Errorf("witness: %q: %w", line, err)
		}
	}
	return p, nil
}

// seconds reads a decimal number of them.
func seconds(s string) (time.Duration, error) {
	const most = 3600
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(f >= 0 && f <= most) {
		return 0, fmt.Errorf("%q is not in 0..%d s", s, most)
	}
	return time.Duration(f * float64(time.Second)), nil
}

package demo

import (
	_ "embed"
	"errors"
	"fmt"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

//go:embed demo.flv
var asset []byte

// turn is the length of the embedded loop: 200 pictures of 40 ms are as long as
// 375 AAC frames of 1024 samples at 48 kHz, so the two never drift apart.
const turn media.Timestamp = 8000

// clip is a loop of media that is played over and over.
type clip struct {
	configs []rtmp.Message // metadata and sequence headers, sent once a connection
	frames  []rtmp.Message // by timestamp, from 0 to below turn
}

// parseClip takes an FLV file of one turn apart; the bodies alias file.
func parseClip(file []byte) (*clip, error) {
	_, n, err := flv.ParseHeader(file)
	if err != nil {
		return nil, fmt.Errorf("demo: header: %w", err)
	}
	c := new(clip)
	for off := n; off < len(file); off += n {
		var tag flv.Tag
		if tag, n, err = flv.ParseTag(file[off:]); err != nil {
			return nil, fmt.Errorf("demo: tag at byte %d: %w", off, err)
		}
		var info flv.Info
		info, err = flv.Describe(tag.Type, tag.Body)
		if err != nil {
			return nil, fmt.Errorf("demo: tag at byte %d: %w", off, err)
		}
		m := rtmp.Message{Type: tag.Type, Timestamp: tag.Timestamp, Body: tag.Body}
		switch info.Kind {
		case media.KindConfig, media.KindData:
			c.configs = append(c.configs, m)
		case media.KindEnd: // there is no end
		default:
			c.frames = append(c.frames, m)
		}
	}
	if len(c.frames) == 0 {
		return nil, errors.New("demo: the file has no frames")
	}
	return c, nil
}

// frame gives the n-th frame of endless play, from 0, and its time.
func (c *clip) frame(n int) (rtmp.Message, media.Timestamp) {
	m := c.frames[n%len(c.frames)]
	at := media.Timestamp(n/len(c.frames))*turn + media.Timestamp(m.Timestamp)
	m.Timestamp = uint32(at)
	return m, at
}

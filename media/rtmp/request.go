package rtmp

import (
	"fmt"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// ConnectInfo is what the connect command told of the peer. It is immutable.
type ConnectInfo struct {
	TcURL          string
	FlashVer       string
	PageURL        string
	SwfURL         string
	ObjectEncoding int // 0 or 3
	// FourCCs are the codecs that the peer takes by FourCC, to decode them or to
	// pass them on (Enhanced RTMP v2); none for one that announces nothing.
	FourCCs flv.FourCCs
	Caps    Caps // Enhanced RTMP v2
}

// Request is what a peer asks to publish or to play. The names are as sent:
// the caller validates them with [media.CheckName]. It is immutable.
type Request struct {
	*ConnectInfo

	Host        string // of tcUrl, as sent, without port and brackets; may be empty
	App         string
	Stream      string // without query and without the prefix "flv:" or "mp4:"
	Query       string // the stream's if it has one, else the app's
	StreamID    uint32 // message stream id of the request
	PublishType string // "live", "record" or "append", as sent; empty for play
	// Start is the start argument of play: -2 live or recorded, -1 live, else a
	// position; many players send a thousand times that. -2 if it was left out.
	Start float64
}

// Param is the URL-decoded value of the first parameter of that name in Query, or "".
func (r *Request) Param(name string) string { return queryParam(r.Query, name) }

func parseConnect(o amf0.Value) (*ConnectInfo, target, error) {
	t, err := parseTarget(o.Get("tcUrl").Text(), o.Get("app").Text())
	if err != nil {
		return nil, target{}, err
	}
	info := &ConnectInfo{
		TcURL:    o.Get("tcUrl").Text(),
		FlashVer: clip(o.Get("flashVer").Text()),
		PageURL:  clip(o.Get("pageUrl").Text()),
		SwfURL:   clip(o.Get("swfUrl").Text()),
		Caps:     Caps(toUint32(o.Get("capsEx").Float())),
		FourCCs:  fourCCs(o),
	}
	if o.Get("objectEncoding").Float() == 3 {
		info.ObjectEncoding = 3
	}
	return info, t, nil
}

// newRequest makes a request of the name in a publish or play command.
func newRequest(info *ConnectInfo, t target, name string, streamID uint32) (*Request, error) {
	stream, query, hasQuery := splitStream(name)
	if !hasQuery {
		query = t.query
	}
	if len(query) > media.MaxQuery {
		return nil, fmt.Errorf("%w: query of %d bytes, the limit is %d", ErrLimit, len(query), media.MaxQuery)
	}
	return &Request{
		ConnectInfo: info, Host: t.host, App: t.app, Stream: stream, Query: query, StreamID: streamID,
	}, nil
}

// clip bounds a text that is only kept for logs.
func clip(s string) string { return s[:min(len(s), media.MaxName)] }

// toUint32 is 0 for what is no 32-bit number.
func toUint32(f float64) uint32 {
	if f >= 0 && f < 1<<32 {
		return uint32(f)
	}
	return 0
}

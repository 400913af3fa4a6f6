package web

import (
	"strings"
	"sync/atomic"
)

// Kind is what a request asks for, by the form of its path.
type Kind uint8

// The kinds; a request that is not understood is of KindOther.
const (
	KindOther        Kind = iota
	KindPage              // watch page and its parts
	KindNearest           // nodes to go to
	KindFLV               // HTTP-FLV
	KindWebSocket         // FLV over WebSocket
	KindTS                // HTTP-TS
	KindMultivariant      // multivariant playlist
	KindPlaylist          // media playlist
	KindLowLatency        // low-latency media playlist
	KindSegment           // whole segment, TS or fMP4
	KindPart              // part of a low-latency segment
	KindInit              // initialization section
	NumKinds
)

// String is the value of the label kind.
func (k Kind) String() string {
	return [NumKinds]string{
		"other", "page", "nearest", "flv", "ws", "ts", "multivariant", "playlist", "low_latency", "segment", "part", "init",
	}[k]
}

// kind is that of a request for the route; one for FLV may turn out to open a WebSocket.
func (r route) kind() Kind {
	switch r.want {
	case wantNothing:
		return KindOther
	case wantAsset:
		return KindPage
	case wantFLV:
		return KindFLV
	case wantTS:
		return KindTS
	case wantMultivariant:
		return KindMultivariant
	case wantMedia:
		return KindPlaylist
	case wantLow:
		return KindLowLatency
	case wantFile:
		return fileKind(r.name)
	}
	return KindOther
}

// fileKind goes by the form of the name alone: EPOCH-MSN.PART.m4s is a part's.
func fileKind(name string) Kind {
	switch {
	case strings.HasSuffix(name, ".mp4"):
		return KindInit
	case strings.Count(name, ".") > 1:
		return KindPart
	}
	return KindSegment
}

// NumClasses is the number of classes of status codes, 1xx to 5xx.
const NumClasses = 5

// tally counts answers. A loop's is written by the loop alone, so that nobody waits
// for anybody; all are read from any goroutine.
type tally struct {
	answered [NumKinds][NumClasses]atomic.Uint64
	parked   [NumKinds]atomic.Uint64
}

func (t *tally) answer(k Kind, status int) { t.answered[k][status/100-1].Add(1) }

// Answered is how many requests of a kind have had an answer with a status code of the
// class, 1 to 5 for 1xx to 5xx; live streams count when they begin. Safe from any goroutine.
func (s *Server) Answered(k Kind, class int) (n uint64) {
	for _, t := range s.tallies {
		n += t.answered[k][class-1].Load()
	}
	return n
}

// Parked is how many requests of a kind had to wait for what they asked for, those that
// were given up included. Safe from any goroutine.
func (s *Server) Parked(k Kind) (n uint64) {
	for _, t := range s.tallies {
		n += t.parked[k].Load()
	}
	return n
}

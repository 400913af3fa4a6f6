package rtmp

import "errors"

// Errors that callers branch on; every error that Feed returns wraps one of
// them, or that of the random source. All are final for the connection.
var (
	// ErrHTTP says that the peer speaks HTTP: answer with a short 400.
	ErrHTTP = errors.New("rtmp: peer speaks HTTP")
	// ErrVersion says that the first byte is not version 3 (RTMP 1.0 section 5.2.2).
	ErrVersion = errors.New("rtmp: unsupported version")
	// ErrProtocol says that the peer broke the protocol.
	ErrProtocol = errors.New("rtmp: protocol error")
	// ErrLimit says that the peer asked for more than media/limits.go allows.
	ErrLimit = errors.New("rtmp: over the limit")
	// ErrBudget says that all connections together hold as much as they may.
	ErrBudget = errors.New("rtmp: process-wide budget is used up")
	// ErrURL says that a URL is not one of RTMP.
	ErrURL = errors.New("rtmp: bad URL")
)

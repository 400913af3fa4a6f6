package web

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"

	"tmms/media"
)

// WebSocket opcodes (RFC 6455 section 11.8).
const (
	wsContinuation = 0x0
	wsText         = 0x1
	wsBinary       = 0x2
	wsClose        = 0x8
	wsPing         = 0x9
	wsPong         = 0xA
)

// WebSocket close codes (RFC 6455 section 7.4.1).
const (
	wsNormal        = 1000
	wsGoingAway     = 1001
	wsProtocolError = 1002
	wsTooBig        = 1009
)

var (
	errWSShort    = errors.New("web: websocket frame needs more bytes")
	errWSProtocol = errors.New("web: websocket protocol error")
	errWSTooBig   = errors.New("web: websocket frame too big")
)

// wsFrame is a frame from a viewer. Payload is unmasked in place.
type wsFrame struct {
	final   bool
	opcode  byte
	payload []byte
}

// parseWSFrame reads one frame and says how many bytes that were (RFC 6455
// section 5.2):
//
//	|FIN RSV opcode(4)|MASK length(7)|length 16 or 64|masking key 4|payload|
//
// errWSShort: b holds less than the frame. Frames of clients are masked and,
// here, at most [media.MaxWSPayload] bytes long.
func parseWSFrame(b []byte) (f wsFrame, n int, err error) {
	if len(b) < 2 {
		return f, 0, errWSShort
	}
	f.final, f.opcode = b[0]&0x80 != 0, b[0]&0x0F
	if err = f.check(b); err != nil {
		return f, 0, err
	}
	size := int(b[1] & 0x7F)
	if size > media.MaxWSPayload {
		return f, 0, fmt.Errorf("%w: the limit is %d bytes", errWSTooBig, media.MaxWSPayload)
	}
	const head = 6
	if len(b) < head+size {
		return f, 0, errWSShort
	}
	f.payload = b[head : head+size]
	for i := range f.payload {
		f.payload[i] ^= b[2+i%4]
	}
	return f, head + size, nil
}

func (f *wsFrame) check(b []byte) error {
	switch {
	case b[0]&0x70 != 0:
		return fmt.Errorf("%w: reserved bits 0x%02x", errWSProtocol, b[0]&0x70)
	case b[1]&0x80 == 0:
		return fmt.Errorf("%w: frame is not masked", errWSProtocol)
	case f.opcode >= wsClose && (!f.final || b[1]&0x7F > 125):
		return fmt.Errorf("%w: control frame in pieces or over 125 bytes", errWSProtocol)
	}
	switch f.opcode {
	case wsContinuation, wsText, wsBinary, wsClose, wsPing, wsPong:
		return nil
	}
	return fmt.Errorf("%w: opcode %d", errWSProtocol, f.opcode)
}

// appendWSControl adds a control frame of at most 125 bytes.
func appendWSControl(b []byte, opcode byte, payload []byte) []byte {
	return append(append(b, 0x80|opcode, byte(len(payload))), payload...)
}

func appendWSClose(b []byte, code uint16) []byte {
	return appendWSControl(b, wsClose, binary.BigEndian.AppendUint16(nil, code))
}

// wsAccept is the Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2).
func wsAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// wsWanted tells whether the request asks for a WebSocket.
func wsWanted(r *request) bool {
	return hasToken(r.Header, "Upgrade", "websocket") && hasToken(r.Header, "Connection", "upgrade")
}

// wsCheck refuses a malformed opening handshake (RFC 6455 section 4.2.1).
func wsCheck(r *request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusBadRequest, "a WebSocket begins with GET and HTTP/1.1")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse(http.StatusUpgradeRequired, "only WebSocket version 13")
	case err != nil || len(key) != 16:
		return refuse(http.StatusBadRequest, "malformed Sec-WebSocket-Key")
	}
	return nil
}

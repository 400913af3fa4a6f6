package hlsplay

import (
	"bytes"
	"fmt"
	"strconv"
)

// Bounds of what is kept of an answer, in bytes.
const (
	maxHead = 4 << 10
	maxBody = 64 << 20
)

// answer is a response's head.
type answer struct {
	status int
	length int64
	closes bool // the server will close the connection
}

// parseHead reads a response head; n is its length, 0 if it is not whole yet.
func parseHead(b []byte) (a answer, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= maxHead {
			return a, 0, fmt.Errorf("hlsplay: a response head of more than %d bytes", maxHead)
		}
		return a, 0, nil
	}
	line, fields, _ := bytes.Cut(b[:end], []byte("\r\n"))
	_, code, ok := bytes.Cut(line, []byte("HTTP/1.1 "))
	if !ok || len(code) < 3 {
		return a, 0, fmt.Errorf("hlsplay: the server answered %q", line)
	}
	if a.status, err = strconv.Atoi(string(code[:3])); err != nil {
		return a, 0, fmt.Errorf("hlsplay: the server answered %q", line)
	}
	a.length = -1
	for field := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			a.length, err = strconv.ParseInt(string(value), 10, 64)
			if err != nil || a.length < 0 || a.length > maxBody {
				return a, 0, fmt.Errorf("hlsplay: Content-Length %q is not in 0..%d", value, maxBody)
			}
		case bytes.EqualFold(name, []byte("connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
	if a.length < 0 {
		return a, 0, fmt.Errorf("hlsplay: an answer %d without a Content-Length", a.status)
	}
	return a, end + 4, nil
}

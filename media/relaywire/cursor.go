package relaywire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What a parser answers.
var (
	// ErrShort asks for more bytes.
	ErrShort = errors.New("relaywire: more bytes are needed")
	// ErrMalformed is wrapped by every error that more bytes can't heal.
	ErrMalformed = errors.New("relaywire: malformed")
)

// cursor reads fields one after another; after the first error it reads zeros.
type cursor struct {
	b   []byte
	off int
	err error
}

// fail keeps the first error.
func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// badf fails with ErrMalformed.
func (c *cursor) badf(format string, args ...any) {
	c.fail(fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...)))
}

func (c *cursor) byte() byte {
	if c.err == nil && c.off >= len(c.b) {
		c.err = ErrShort
	}
	if c.err != nil {
		return 0
	}
	v := c.b[c.off]
	c.off++
	return v
}

func (c *cursor) uvarint() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.off:])
	switch {
	case n == 0:
		c.err = ErrShort
		return 0
	case n < 0:
		c.badf("integer over 64 bits")
		return 0
	}
	c.off += n
	return v
}

func (c *cursor) varint() int64 {
	u := c.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// upTo reads an integer of at most limit.
func (c *cursor) upTo(what string, limit uint64) uint64 {
	v := c.uvarint()
	if v > limit {
		c.badf("%s %d, the limit is %d", what, v, limit)
		return 0
	}
	return v
}

// signed reads an integer from -limit to limit.
func (c *cursor) signed(what string, limit int64) int64 {
	v := c.varint()
	if v > limit || v < -limit {
		c.badf("%s %d, the limits are -%d and %d", what, v, limit, limit)
		return 0
	}
	return v
}

// bytes reads a length of at most limit and that many bytes, which alias the input.
func (c *cursor) bytes(what string, limit int) []byte {
	n := int(c.upTo(what+" length", uint64(limit)))
	if c.err == nil && len(c.b)-c.off < n {
		c.err = ErrShort
	}
	if c.err != nil {
		return nil
	}
	v := c.b[c.off : c.off+n : c.off+n]
	c.off += n
	return v
}

func (c *cursor) string(what string, limit int) string { return string(c.bytes(what, limit)) }

// bool reads one byte, 0 or 1.
func (c *cursor) bool(what string) bool {
	v := c.byte()
	if v > 1 {
		c.badf("%s is %d, not 0 or 1", what, v)
	}
	return v == 1
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendString(b []byte, v string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

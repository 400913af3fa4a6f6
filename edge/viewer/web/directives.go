package web

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
)

// Delivery directives (draft-pantos-hls-rfc8216bis section 6.2.5): parameters of
// a request for a playlist that the playlist does not carry on.
const (
	directives    = "_HLS_" // what their names begin with
	directiveMSN  = directives + "msn"
	directivePart = directives + "part"
	directiveSkip = directives + "skip"
)

// wholeSegment is the part of a request that wants all of a segment.
const wholeSegment = -1

// errPartOnly refuses a part of no segment.
var errPartOnly = errors.New(directivePart + " without " + directiveMSN)

// direct notes the directives of the request: what its playlist has to have, and
// whether it may be a delta update.
func (w *waiting) direct(query url.Values) error {
	switch query.Get(directiveSkip) {
	case "YES", "v2":
		w.skip = true
	}
	if !query.Has(directiveMSN) {
		if query.Has(directivePart) {
			return errPartOnly
		}
		return nil
	}
	msn, err := number(query, directiveMSN)
	if err != nil {
		return err
	}
	w.blocks, w.name.MSN, w.part = true, msn, wholeSegment
	if !query.Has(directivePart) {
		return nil
	}
	part, err := number(query, directivePart)
	w.part = int32(min(part, math.MaxInt32))
	return err
}

// number reads a decimal-integer (RFC 8216 section 4.2).
func number(query url.Values, name string) (uint64, error) {
	s := query.Get(name)
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf("%s is %.20q, not a number of 64 bits", name, s)
	}
	return n, nil
}

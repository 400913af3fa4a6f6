// Package nal has what H.264 and HEVC share: NAL units behind lengths and
// behind start codes, emulation prevention, the codes of a raw byte sequence
// payload, and parameter sets by their ids.
package nal

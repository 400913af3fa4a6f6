// Package fmp4 writes fragmented MP4 (ISO/IEC 14496-12) for HLS (RFC 8216
// section 3.3) and its parts: one video and one audio track at most, in one
// file. With one track it is what CMAF (ISO/IEC 23000-19) calls a track's
// header and chunks.
//
// A [Muxer] lives as long as its configuration. [Muxer.AppendInit] gives the
// file's beginning; then frames are gathered in an open fragment, which
// [Muxer.AppendFragment] writes wherever the caller cuts: a segment is one
// fragment or several.
//
// Times are stream time, which never falls and starts at 0 or above. There are
// no edit lists: what is presented at the stream time t has the presentation
// time t in each track.
package fmp4

// Package tsmux turns packets as FLV carries them into MPEG-TS. It is the one
// way from the one to the other: the owner's HLS pipeline decides itself what is
// cut where and uses [Read] and [Program]; whoever passes a live stream on as it
// comes uses [Live].
//
// Only the first video and the first audio track are looked at: a program has
// one of each at most. What MPEG-TS cannot carry here is refused by [Check].
package tsmux

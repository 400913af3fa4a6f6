package nal

// StartCode is in front of each NAL unit in a byte stream (annex B of H.264 and
// of H.265). It is not to be changed.
var StartCode = []byte{0, 0, 0, 1}

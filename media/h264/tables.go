package h264

// aud is an access unit delimiter that allows any slice type, behind its start
// code (H.264 section 7.3.2.4).
var aud = []byte("\x00\x00\x00\x01\x09\xf0")

package rtmp

import "tmms/media/amf0"

// setDataFrame is the handler name that encoders put in front of metadata.
const setDataFrame = "@setDataFrame"

// stripDataFrame leaves what an FLV script tag holds: onMetaData and its value.
func stripDataFrame(body []byte) []byte {
	if startsWithString(body, setDataFrame) {
		return body[3+len(setDataFrame):]
	}
	return body
}

func appendDataFrame(b []byte) []byte { return amf0.AppendString(b, setDataFrame) }

func isMetaData(body []byte) bool { return startsWithString(body, "onMetaData") }

// startsWithString reports whether b begins with the AMF0 string s.
func startsWithString(b []byte, s string) bool {
	return len(b) >= 3+len(s) && b[0] == 2 && int(b[1])<<8|int(b[2]) == len(s) &&
		string(b[3:3+len(s)]) == s
}

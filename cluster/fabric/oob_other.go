//go:build !linux

package fabric

// segmentSize is for Linux, where tmms runs; elsewhere quic-go makes no segments.
func segmentSize([]byte) int { return 0 }

func joinedSize([]byte) int { return 0 }

func withoutSegments(to, oob []byte) []byte { return append(to, oob...) }

func withSegments(to, oob []byte, _ int) []byte { return append(to, oob...) }

func markable([]byte) bool { return false }

func markCE([]byte) {}

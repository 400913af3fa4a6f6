package fabric

import (
	"context"
	"fmt"
	"io"

	"github.com/quic-go/quic-go"
)

// greeting is the one byte of an acceptor's first unidirectional stream.
const greeting = 0x01

// greet tells the dialer that its session is served.
func greet(conn *quic.Conn) error {
	stream, err := conn.OpenUniStream()
	if err != nil {
		return err
	}
	if _, err := stream.Write([]byte{greeting}); err != nil {
		return err
	}
	return stream.Close()
}

// awaitGreeting returns when the acceptor serves the session, or says why not.
func awaitGreeting(ctx context.Context, conn *quic.Conn) error {
	stream, err := conn.AcceptUniStream(ctx)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = stream.SetReadDeadline(deadline)
	}
	var b [2]byte
	n, err := io.ReadFull(stream, b[:])
	if n == 1 && b[0] == greeting && err == io.ErrUnexpectedEOF { //nolint:errorlint // ReadFull gives it as it is
		return nil
	}
	if conn.Context().Err() != nil {
		return context.Cause(conn.Context())
	}
	return fmt.Errorf("greeting: %d bytes %x (%w), want the byte %#x", n, b[:n], err, greeting)
}

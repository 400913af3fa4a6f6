package control

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"tmms/cluster/member"
)

// frameHead is the size of a frame's length.
const frameHead = 4

// appendFrame adds v as a frame.
func appendFrame(b []byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("control: encode: %w", err)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...), nil
}

// appendCommand adds a step with a command as a frame. The command is JSON already,
// and so goes to every follower as it is: encoding it again would check it once
// for each.
func appendCommand(b []byte, c member.Change) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = strconv.AppendUint(append(b, `{"index":`...), c.Index, 10)
	b = append(append(append(b, `,"command":`...), c.Command...), '}')
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-frameHead))
	return b
}

// readFrame reads one frame of at most limit bytes into v. Memory is taken as
// bytes arrive, not by the length that is declared.
func readFrame(r io.Reader, limit int, v any) error {
	n, err := readHead(r, limit)
	if err != nil {
		return err
	}
	return readBody(r, n, v)
}

// readHead reads the length of a frame's body.
func readHead(r io.Reader, limit int) (n int64, err error) {
	var head [frameHead]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n = int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(limit) {
		return 0, fmt.Errorf("%w: %d bytes, the limit is %d", errFrame, n, limit)
	}
	return n, nil
}

func readBody(r io.Reader, n int64, v any) error {
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, n); err != nil {
		return fmt.Errorf("control: frame of %d bytes: %w", n, noEOF(err))
	}
	if err := json.Unmarshal(body.Bytes(), v); err != nil {
		return fmt.Errorf("%w: %w", errFrame, err)
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // CopyN gives it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}

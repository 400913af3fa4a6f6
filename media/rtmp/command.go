package rtmp

import (
	"fmt"

	"tmms/media/amf0"
)

// command is a message of type 20 or 17 (RTMP 1.0 section 7.1.1): a name, a
// transaction id, a command object, arguments.
type command struct {
	name        string
	transaction float64
	args        []amf0.Value // the command object first
}

// parseCommand reads a command. A message of type 17 has a format byte in
// front, and in all known encoders AMF0 behind it.
func parseCommand(typ uint8, body []byte) (command, error) {
	if typ == typeCommandAMF3 && len(body) > 0 && body[0] == 0 {
		body = body[1:]
	}
	values, err := amf0.DecodeAll(body)
	if len(values) == 0 || values[0].Kind != amf0.KindString {
		if err == nil {
			err = fmt.Errorf("%d values", len(values))
		}
		return command{}, fmt.Errorf("%w: command without a name: %w", ErrProtocol, err)
	}
	c := command{name: values[0].Str}
	if err != nil {
		return command{}, fmt.Errorf("%w: command %q: %w", ErrProtocol, clip(c.name), err)
	}
	values = values[1:]
	if len(values) > 0 {
		c.transaction = values[0].Float()
		c.args = values[1:]
	}
	return c, nil
}

// arg is argument i behind the command object, or the zero Value.
func (c *command) arg(i int) amf0.Value {
	if i++; i < len(c.args) {
		return c.args[i]
	}
	return amf0.Value{}
}

// object is the command object, or the zero Value.
func (c *command) object() amf0.Value { return c.arg(-1) }

// appendCommand writes a command message on the command chunk stream.
func appendCommand(b []byte, chunkSize int, streamID uint32, c command) []byte {
	body := amf0.AppendNumber(amf0.AppendString(make([]byte, 0, 256), c.name), c.transaction)
	for _, a := range c.args {
		body = amf0.Append(body, a)
	}
	return appendMessage(b, csidCommand, header{typ: typeCommand, streamID: streamID}, body, chunkSize)
}

// statusObject is the information object of onStatus and _error (RTMP 1.0
// section 7.2.2).
func statusObject(level, code, description string) amf0.Value {
	return amf0.Object(
		amf0.Property{Name: "level", Value: amf0.String(level)},
		amf0.Property{Name: "code", Value: amf0.String(code)},
		amf0.Property{Name: "description", Value: amf0.String(description)},
	)
}

const (
	levelStatus = "status"
	levelError  = "error"
)

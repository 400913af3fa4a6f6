package glass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const (
	framesPerSecond = 30
	framesPerGOP    = 30
)

// publish draws the clock, frame by frame when each is due, and lets ffmpeg
// encode and publish it, until ctx ends, which is no error.
func publish(ctx context.Context, url string) error {
	size := fmt.Sprintf("%dx%d", pictureWidth, pictureHeight)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", //nolint:gosec // the caller's own address
		"-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0",
		"-f", "rawvideo", "-pixel_format", "gray", "-video_size", size,
		"-framerate", strconv.Itoa(framesPerSecond), "-i", "pipe:0",
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-threads", "1",
		"-g", strconv.Itoa(framesPerGOP), "-flush_packets", "1", "-f", "flv", url)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("glass: ffmpeg: %w", err)
	}
	werr := drawAll(ctx, in)
	in.Close()
	ended := cmd.Wait()
	if ctx.Err() == nil {
		return fmt.Errorf("glass: ffmpeg ended: %w: %s", errors.Join(ended, werr), stderr.String())
	}
	return nil
}

// drawAll writes a picture when each is due; a reader that is too slow gets fewer.
func drawAll(ctx context.Context, out io.Writer) error {
	picture := make([]byte, pictureWidth*pictureHeight)
	tick := time.NewTicker(time.Second / framesPerSecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		draw(picture, uint32(time.Now().UnixMilli())) //nolint:gosec // modulo 2^32
		if _, err := out.Write(picture); err != nil {
			return fmt.Errorf("glass: %w", err)
		}
	}
}

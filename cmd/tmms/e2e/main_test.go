package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// binary is the tmms under test, nextBinary the same as the next release,
// benchBinary the load generator, which has the link between networks; assets the
// folder of media files made for them.
var binary, nextBinary, benchBinary, assets string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if err := checkTools(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "tmms-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary, benchBinary, assets = filepath.Join(dir, "tmms"), filepath.Join(dir, "tmms-bench"), dir
	out, err := exec.Command("go", "build", "-o", dir, "tmms/cmd/tmms", "tmms/cmd/tmms-bench").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	nextBinary = filepath.Join(dir, "tmms.next")
	out, err = exec.Command("go", "build", "-tags", "next", "-o", nextBinary, "tmms/cmd/tmms").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("build the next release: %w\n%s", err, out)
	}
	if err := makeAssets(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func checkTools() error {
	for _, tool := range []string{"ffmpeg", "ffprobe", "rtmpdump", "gst-launch-1.0", "dvbinfo", "node", "chromium", "ip", "nsenter", "nginx", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing, run \"make deps\": %w", tool, err)
		}
	}
	for _, name := range []string{"hls-parser", "node-av"} {
		if _, err := os.Stat("node_modules/" + name); err != nil {
			return fmt.Errorf("npm packages are missing, run \"make deps\": %w", err)
		}
	}
	return nil
}

// sources are the publishers' files: what they hold and how ffmpeg makes them.
var sources = map[string]string{
	"av.flv": "-f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.1:seed=1 " +
		"-c:v libx264 -preset veryfast -bf 2 -g 50 -b:v 600k -pix_fmt yuv420p -c:a aac -b:a 96k",
	"mp3.flv": "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=frequency=440:sample_rate=44100 " +
		"-c:v libx264 -preset veryfast -bf 0 -g 25 -b:v 200k -pix_fmt yuv420p -c:a libmp3lame -b:a 96k",
	"audio.flv": "-f lavfi -i sine=frequency=440:sample_rate=44100 -c:a aac -b:a 96k",
	"short.flv": "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i anoisesrc=sample_rate=48000:amplitude=0.1:seed=1 " +
		"-c:v libx264 -preset veryfast -bf 2 -g 25 -b:v 200k -pix_fmt yuv420p -c:a aac -b:a 96k",
	"video.flv": "-f lavfi -i testsrc2=size=320x180:rate=25 " +
		"-c:v libx264 -preset veryfast -bf 2 -g 50 -b:v 200k -pix_fmt yuv420p",
}

func makeAssets(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for name, args := range sources {
		argv := append([]string{"-nostdin", "-v", "error", "-y"}, strings.Fields(args)...)
		argv = append(argv, "-t", "20", filepath.Join(dir, name))
		if out, err := exec.CommandContext(ctx, "ffmpeg", argv...).CombinedOutput(); err != nil {
			return fmt.Errorf("make %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

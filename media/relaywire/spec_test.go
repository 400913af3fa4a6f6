package relaywire

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
)

// rows are the cells of the table in docs/relay.md whose head begins so.
func rows(t *testing.T, head string) (list [][]string) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "\n| "+head+" |")
	if !found {
		t.Fatalf("docs/relay.md has no table of %q", head)
	}
	for i, line := range strings.Split(rest, "\n") {
		if i < 2 { // the rest of the head, and the line below
			continue
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		list = append(list, cells)
	}
	return list
}

// first are the first cells of a table.
func first(t *testing.T, head string) (list []string) {
	t.Helper()
	for _, r := range rows(t, head) {
		list = append(list, r[0])
	}
	return list
}

// TestSpecKinds: the document lists the kinds of streams and codes that there are.
func TestSpecKinds(t *testing.T) {
	var want []string
	for _, k := range []StreamKind{StreamSubscribe, StreamPush, StreamSession, StreamGroup, StreamIndexes, StreamPiece} {
		want = append(want, fmt.Sprintf("0x%02x", byte(k)))
	}
	if got := first(t, "kind"); !slices.Equal(got, want) {
		t.Errorf("kinds %v, want %v", got, want)
	}
	want = want[:0]
	for _, c := range []Code{
		CodeDone, CodeUnknownStream, CodeMalformed, CodeAbandoned, CodeSuperseded, CodeOverflow, CodeTimeout, CodeInternal,
	} {
		want = append(want, strconv.Itoa(int(c)))
	}
	if got := first(t, "code"); !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
	want = want[:0]
	for v := V1; v <= Newest; v++ {
		want = append(want, strconv.Itoa(int(v)))
	}
	if got := first(t, "version"); !slices.Equal(got, want) {
		t.Errorf("versions %v, want %v", got, want)
	}
}

// TestSpecMessages: the document lists each message that is parsed by its type and
// name, and no other.
func TestSpecMessages(t *testing.T) {
	listed := map[MessageType]string{}
	for _, r := range rows(t, "type") {
		n, err := strconv.ParseUint(r[0], 0, 8)
		if err != nil {
			t.Fatal(err)
		}
		listed[MessageType(n)] = r[2]
	}
	var cases []Message
	for _, m := range messageCases() {
		cases = append(cases, m)
	}
	for _, m := range sessionCases() {
		cases = append(cases, m)
	}
	for _, c := range pushCases() {
		cases = append(cases, c.m)
	}
	seen := map[MessageType]bool{}
	for _, m := range cases {
		if _, ok := m.(Unknown); ok {
			continue
		}
		typ := m.messageType()
		seen[typ] = true
		if want := strings.TrimPrefix(fmt.Sprintf("%T", m), "relaywire."); listed[typ] != want {
			t.Errorf("type 0x%02x is %q in the document, want %s", byte(typ), listed[typ], want)
		}
	}
	for typ, name := range listed {
		if !seen[typ] {
			t.Errorf("the document has a message 0x%02x %s that there is not", byte(typ), name)
		}
	}
}

// TestSpecReasons: the document lists the reasons that have a name.
func TestSpecReasons(t *testing.T) {
	var want []string
	for r := range Reason(255) {
		if !strings.HasPrefix(r.String(), "reason_") {
			want = append(want, strconv.Itoa(int(r)))
		}
	}
	if got := first(t, "reason of a Refuse"); !slices.Equal(got, want) {
		t.Errorf("reasons of a Refuse %v, want %v", got, want)
	}
	want = want[:0]
	for r := range PushReason(255) {
		if !strings.HasPrefix(r.String(), "reason_") {
			want = append(want, strconv.Itoa(int(r)))
		}
	}
	if got := first(t, "reason of a push"); !slices.Equal(got, want) {
		t.Errorf("reasons of a push %v, want %v", got, want)
	}
}

// TestSpecLimits: the document has the limits that the parsers check.
func TestSpecLimits(t *testing.T) {
	limits := map[string]int{
		"MaxRelayMessage": media.MaxRelayMessage, "MaxMessageVideo": media.MaxMessageVideo, "MaxMessageData": media.MaxMessageData,
		"MaxCodecConfig": media.MaxCodecConfig, "MaxTracks": media.MaxTracks, "MaxName": media.MaxName, "MaxNodeID": media.MaxNodeID,
		"MaxRelayHops": media.MaxRelayHops, "MaxPushText": media.MaxPushText, "MaxRelayIndex": media.MaxRelayIndex,
		"MaxRelaySegments": media.MaxRelaySegments, "MaxRelayInits": media.MaxRelayInits, "MaxHLSInit": media.MaxHLSInit, "MaxHLSResume": media.MaxHLSResume,
		"MaxHLSParts": media.MaxHLSParts, "MaxRelayCodecName": media.MaxRelayCodecName, "MaxSubscriptions": media.MaxSubscriptions,
		"MaxFabricStreams": media.MaxFabricStreams, "MaxFabricUniStreams": media.MaxFabricUniStreams,
		"MaxReorderGroups": media.MaxReorderGroups, "MaxReorderBytes": media.MaxReorderBytes, "MaxPushes": media.MaxPushes,
	}
	table := rows(t, "limit")
	if len(table) != len(limits) {
		t.Errorf("%d limits in the document, want %d", len(table), len(limits))
	}
	for _, r := range table {
		if want, ok := limits[r[0]]; !ok || r[1] != strconv.Itoa(want) {
			t.Errorf("%s is %s in the document, want %d", r[0], r[1], want)
		}
	}
}

// TestSpecClock: the document has the pace at which clocks are compared.
func TestSpecClock(t *testing.T) {
	doc, err := os.ReadFile("../../docs/relay.md")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\s+`).ReplaceAllString(string(doc), " ")
	for _, want := range []string{
		fmt.Sprintf("%d times with pauses of %d ms, then every %g s", media.RelayClockBurst,
			media.RelayClockQuick.Milliseconds(), media.RelayClockInterval.Seconds()),
		fmt.Sprintf("answers %d a second and %d at once", media.RelayClockRate, media.RelayClockAhead),
		fmt.Sprintf("ends after %g s without a packet; each end says that it lives after %g s",
			media.FabricIdleTimeout.Seconds(), media.FabricKeepAlive.Seconds()),
		fmt.Sprintf("gives up a peer of which nothing has come for %g s", media.FabricSilence.Seconds()),
		fmt.Sprintf("begins with %d KiB, a session with %d MiB", media.FabricStreamWindow>>10, media.FabricSessionWindow>>20),
		fmt.Sprintf("types 0x%02x to 0x%02x", typeSkipFirst, typeSkipLast),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/relay.md does not say %q", want)
		}
	}
}

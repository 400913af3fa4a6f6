package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The document names each operation that is served and no other, and what is
// served has the shape that the document says.
func TestOpenAPIIsTrue(t *testing.T) {
	n := serve(t, Config{})
	n.do("PUT", "/api/v1/config", `{`+oneDomain+`}`).want(t, 200, nil)
	var doc map[string]any
	n.do("GET", "/api/v1/openapi.json", "").want(t, 200, &doc)
	paths := doc["paths"].(map[string]any)
	if len(paths) < 11 || doc["openapi"] != "3.1.0" {
		t.Fatalf("%d paths, version %v", len(paths), doc["openapi"])
	}
	v := verifier{schemas: doc["components"].(map[string]any)["schemas"].(map[string]any)}
	ids := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for method, op := range paths[path].(map[string]any) {
			id := op.(map[string]any)["operationId"].(string)
			if ids[id] {
				t.Errorf("operation %s twice", id)
			}
			ids[id] = true
			t.Run(method+" "+path, func(t *testing.T) { v.operation(t, n, method, path, op.(map[string]any)) })
		}
	}
	v.faults = nil
	var refusal any
	n.do("PUT", "/api/v1/config", `{"domains":[{"name":"!"}]}`).want(t, 422, &refusal)
	v.value("refusal", refusal, map[string]any{"$ref": "#/components/schemas/ErrorReply"})
	for _, f := range v.faults {
		t.Error(f)
	}
}

// verifier checks JSON values against the document's schemas.
type verifier struct {
	schemas map[string]any
	faults  []string
}

func (v *verifier) operation(t *testing.T, n *node, method, path string, op map[string]any) {
	t.Helper()
	body := map[string]string{
		"/api/v1/config": `{"dry_run":true,` + oneDomain + `}`, "/api/v1/log/level": `{"level":"info"}`,
		"/api/v1/raft/servers": `{"name":"four","address":"192.0.2.4:7400"}`, "/api/v1/gossip/key/rotate": `{"skip_absent":false}`,
		"/api/v1/tokens/join": `{"id":"0a0a0a0a0a","hash":"aa","roles":["edge"],"uses":1,"ttl_seconds":60}`,
		"/api/v1/revocations": `{"node":"four"}`, "/api/v1/raft/transfer": `{"name":"two"}`, "/api/v1/raft/level": `{"level":2}`,
		"/api/v1/nodes/{node}/drain": `{"release":true}`, "/api/v1/rollback": `{"revision":1,"dry_run":true}`,
	}[path]
	if method == "get" || method == "delete" {
		body = ""
	}
	v.faults = nil
	if body != "" {
		v.value("request", parse(t, []byte(body)), schemaIn(op["requestBody"]))
	}
	at := strings.NewReplacer("{name}", "two", "{node}", "one", "{id}", "0a0a0a0a0a", "{profile}", "heap").Replace(path)
	if path == "/api/v1/why" {
		at += "?key=live/a"
	}
	header := []string{}
	if content, ok := contentOf(op["requestBody"]); ok && content[bytesType] != nil {
		b, err := n.group.Backup()
		if err != nil {
			t.Fatal(err)
		}
		body, header = string(b), append(header, "Content-Type: "+bytesType)
	}
	a := n.do(strings.ToUpper(method), at, body, header...).want(t, 200, nil)
	if content, _ := contentOf(op["responses"].(map[string]any)["200"]); content[bytesType] != nil {
		if got := a.Header.Get("Content-Type"); got != bytesType {
			t.Errorf("Content-Type %q", got)
		}
		return
	}
	if schema := schemaIn(op["responses"].(map[string]any)["200"]); schema != nil {
		v.value("answer", parse(t, a.body), schema)
	}
	for _, f := range v.faults {
		t.Error(f)
	}
}

// contentOf gives the media types of a body.
func contentOf(v any) (content map[string]any, ok bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	content, ok = m["content"].(map[string]any)
	return content, ok
}

func parse(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func schemaIn(part any) map[string]any {
	content, ok := part.(map[string]any)["content"].(map[string]any)
	if !ok {
		return nil
	}
	return content["application/json"].(map[string]any)["schema"].(map[string]any)
}

func (v *verifier) value(at string, value any, schema map[string]any) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = v.schemas[ref[strings.LastIndex(ref, "/")+1:]].(map[string]any)
	}
	kind := map[bool]string{true: "integer", false: "number"}
	got := ""
	switch x := value.(type) {
	case string:
		got = "string"
	case bool:
		got = "boolean"
	case float64:
		got = kind[x == float64(int64(x))]
	case []any:
		got = "array"
		for i, e := range x {
			v.value(fmt.Sprintf("%s[%d]", at, i), e, schema["items"].(map[string]any))
		}
	case map[string]any:
		got = "object"
		v.object(at, x, schema)
	case nil:
		got = "null"
	}
	if want := schema["type"]; want != nil && got != want && (want != "number" || got != "integer") {
		v.faults = append(v.faults, fmt.Sprintf("%s is %s, the document says %s", at, got, want))
	}
}

func (v *verifier) object(at string, x map[string]any, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	for key, e := range x {
		switch more := schema["additionalProperties"].(type) {
		case map[string]any:
			v.value(at+"."+key, e, more)
		default:
			p, known := properties[key].(map[string]any)
			if !known {
				v.faults = append(v.faults, fmt.Sprintf("%s.%s is not in the document", at, key))
				continue
			}
			v.value(at+"."+key, e, p)
		}
	}
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, there := x[key.(string)]; !there {
			v.faults = append(v.faults, fmt.Sprintf("%s.%s is missing, the document requires it", at, key))
		}
	}
}

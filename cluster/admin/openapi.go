package admin

import (
	"encoding"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// object is a JSON object of the API document.
type object = map[string]any

func (s *Server) showOpenAPI(w http.ResponseWriter, _ *http.Request, _ caller) error {
	writeJSON(w, http.StatusOK, s.openAPI())
	return nil
}

// openAPI makes the document (OpenAPI 3.1.0) from the routes and their types.
func (s *Server) openAPI() object {
	schemas := object{}
	failure := schemaOf(reflect.TypeFor[errorReply](), schemas)
	paths := map[string]object{}
	for _, r := range s.routes() {
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path][strings.ToLower(r.method)] = operation(r, failure, schemas)
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "tmms admin API", "version": s.deps.Version},
		"paths":   paths,
		"components": object{
			"schemas":         schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
	}
}

func operation(r route, failure object, schemas object) object {
	ok := object{"description": "done"}
	if r.state {
		ok["headers"] = object{staleHeader: object{
			"description": "why the answer may be out of date; left out if it is not", "schema": object{"type": "string"},
		}}
	}
	if r.reply != nil {
		ok["content"] = jsonContent(schemaOf(reflect.TypeOf(r.reply), schemas))
	}
	if r.bytes {
		ok["content"] = bytesContent()
	}
	op := object{
		"summary":     r.summary,
		"operationId": strings.ToLower(r.method) + strings.NewReplacer("/", "_", ".", "_", "{", "", "}", "").Replace(r.path),
		"responses": object{
			"200":     ok,
			"default": object{"description": "refused", "content": jsonContent(failure)},
		},
	}
	if r.need > roleNone {
		op["security"] = []object{{"token": []string{}}}
	}
	if r.request != nil {
		op["requestBody"] = object{
			"required": true, "content": jsonContent(schemaOf(reflect.TypeOf(r.request), schemas)),
		}
	}
	if r.upload {
		op["requestBody"] = object{"required": true, "content": bytesContent()}
	}
	if params := parameters(r); len(params) > 0 {
		op["parameters"] = params
	}
	return op
}

func parameters(r route) []object {
	params := make([]object, 0, len(r.query)+1)
	if _, rest, ok := strings.Cut(r.path, "{"); ok {
		name, _, _ := strings.Cut(rest, "}")
		params = append(params, object{
			"name": name, "in": "path", "required": true, "schema": object{"type": "string"},
		})
	}
	for _, q := range r.query {
		params = append(params, object{"name": q, "in": "query", "schema": object{"type": "string"}})
	}
	if r.state {
		params = append(params, object{"name": "consistency", "in": "query", "schema": object{
			"type": "string", "enum": []string{consistent, fromCopy}, "default": consistent,
		}})
	}
	return params
}

func bytesContent() object {
	return object{bytesType: object{"schema": object{"type": "string", "format": "binary"}}}
}

func jsonContent(schema object) object {
	return object{"application/json": object{"schema": schema}}
}

// schemaOf describes a Go type as its JSON is; structs go to schemas by name.
func schemaOf(t reflect.Type, schemas object) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Struct:
		return structSchema(t, schemas)
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	default:
		return object{} // anything
	}
}

func structSchema(t reflect.Type, schemas object) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	ref := object{"$ref": "#/components/schemas/" + name}
	if schemas[name] != nil {
		return ref
	}
	properties, required := object{}, []string{}
	schemas[name] = object{"type": "object", "properties": properties}
	for f := range t.Fields() {
		key, opt, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[key] = schemaOf(f.Type, schemas)
		if opt == "" && f.Type.Kind() != reflect.Pointer {
			required = append(required, key)
		}
	}
	schemas[name] = object{
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
	}
	return ref
}

package capture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Parse decodes and checks a manifest; name is how messages call it. It touches
// no file: paths are checked as text only, Open resolves them.
//
// Unknown fields are ignored. Everything that is refused is reported at once, as
// *InputErrors joined with errors.Join; what can be done without is returned as
// defects. The result has its defaults filled in and parsing it again, after
// json.Marshal, gives the same manifest.
func Parse(name string, data []byte) (*Manifest, []Defect, error) {
	fail := func(field, hint, reason string, args ...any) error {
		return &InputError{File: name, Field: field, Reason: fmt.Sprintf(reason, args...), Hint: hint}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, fail("", "give a manifest as capture.md describes it", "the manifest is empty")
	}
	if len(data) > maxManifestBytes {
		return nil, nil, fail("", "", "the manifest is larger than %d MiB", maxManifestBytes>>20)
	}
	if depth, elements := measure(data); depth > maxDepth {
		return nil, nil, fail("", "", "the manifest is nested deeper than %d levels", maxDepth)
	} else if elements > maxElements {
		return nil, nil, fail("", "", "the manifest has more than %d list entries", maxElements)
	}
	if err := checkHead(name, data); err != nil {
		return nil, nil, err
	}
	m := &Manifest{Outputs: outputDefaults()}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, nil, decodeError(name, data, err)
	}
	c := &checker{m: m, problems: problems{file: name}}
	c.manifest()
	if err := c.problems.err(); err != nil {
		return nil, nil, err
	}
	return m, c.defects, nil
}

// checkHead looks at version and source before anything else: with another
// version, complaints about the other fields would be nonsense.
func checkHead(name string, data []byte) error {
	var head struct {
		Version json.RawMessage `json:"version"`
		Source  json.RawMessage `json:"source"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return decodeError(name, data, err)
	}
	p := problems{file: name}
	var version int
	switch {
	case absent(head.Version):
		p.add("version", `write "version": 1`, "missing")
	case json.Unmarshal(head.Version, &version) != nil || version != Version:
		p.add("version", "this Rushes reads version 1; use a newer Rushes or write version 1",
			"%s is not a version we know", clip(string(head.Version)))
	}
	var source Source
	switch {
	case absent(head.Source):
		p.add("source", sourceHint, "missing")
	case json.Unmarshal(head.Source, &source) != nil || !source.known():
		p.add("source", sourceHint, "%s is not a source we know", clip(string(head.Source)))
	}
	return p.err()
}

const sourceHint = `use "beam", "sfu" or "live-stream"`

func (s Source) known() bool {
	return s == SourceBeam || s == SourceSFU || s == SourceLiveStream
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// decodeError turns encoding/json's errors into one that names the place.
func decodeError(name string, data []byte, err error) error {
	e := &InputError{File: name, Err: err, Reason: "is not JSON: " + err.Error(),
		Hint: "give a manifest as capture.md describes it, or a media file"}
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line, column := position(data, syntax.Offset)
		e.Reason = fmt.Sprintf("is not JSON: line %d, column %d: %v", line, column, err)
	case errors.As(err, &wrong) && wrong.Field == "":
		e.Reason = fmt.Sprintf("holds a JSON %s", wrong.Value)
		e.Hint = "a manifest is a JSON object, see capture.md"
	case errors.As(err, &wrong):
		e.Field = fieldAt(data, wrong.Offset)
		if e.Field == "" {
			e.Field = wrong.Field
		}
		e.Reason = fmt.Sprintf("%s does not fit, want %s", clip(wrong.Value), describe(wrong))
		e.Hint = ""
	}
	return e
}

// describe names a Go type as the author of a manifest would.
func describe(e *json.UnmarshalTypeError) string {
	switch kind := e.Type.Kind().String(); {
	case strings.HasPrefix(kind, "uint"):
		return "a whole number from 0 to 4294967295"
	case strings.HasPrefix(kind, "int"):
		return "a whole number"
	case kind == "bool":
		return "true or false"
	case kind == "slice":
		return "a list"
	case kind == "struct" || kind == "map":
		return "an object"
	default:
		return "a " + kind
	}
}

// position returns the line and column, from one, of the last byte before offset.
func position(data []byte, offset int64) (line, column int) {
	before := data[:min(max(offset, 0), int64(len(data)))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n') - 1
}

// fieldAt returns the full name, with list indices, of the value that ends at or
// around offset; encoding/json gives names without indices.
func fieldAt(data []byte, offset int64) string {
	type level struct {
		array bool
		name  string
		index int
		key   bool // the next token of an object is a key
	}
	var stack []level
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.Token()
		if err != nil {
			return ""
		}
		delim, isDelim := token.(json.Delim)
		if n := len(stack); n > 0 && (!isDelim || delim == '{' || delim == '[') {
			top := &stack[n-1]
			switch {
			case top.array:
				top.index++
			case top.key:
				top.name, top.key = token.(string), false
				continue
			default:
				top.key = true
			}
		}
		if dec.InputOffset() >= offset {
			break
		}
		switch {
		case isDelim && (delim == '{' || delim == '['):
			stack = append(stack, level{array: delim == '[', index: -1, key: delim == '{'})
		case isDelim:
			stack = stack[:len(stack)-1]
		}
	}
	var b strings.Builder
	for _, l := range stack {
		switch {
		case l.array:
			fmt.Fprintf(&b, "[%d]", max(l.index, 0))
		case b.Len() > 0:
			b.WriteString("." + clip(l.name))
		default:
			b.WriteString(clip(l.name))
		}
	}
	return b.String()
}

package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Override decodes patch, a JSON object with some of the fields of "outputs"
// (capture.md), over the manifest's outputs: fields that it does not have keep
// their value, lists are replaced as a whole. Unknown fields and values outside the
// limits are *InputErrors, and nothing is changed then. It must not run beside
// other users of the capture. An empty patch changes nothing.
func (c *Capture) Override(patch []byte) error {
	if len(bytes.TrimSpace(patch)) == 0 {
		return nil
	}
	fail := func(reason string, err error) error {
		return &InputError{File: c.Name, Field: "outputs", Reason: reason, Hint: "see outputs in capture.md", Err: err}
	}
	next, err := copyOutputs(c.Manifest.Outputs)
	if err != nil {
		return fmt.Errorf("outputs of capture %s: %w", c.Name, err)
	}
	d := json.NewDecoder(bytes.NewReader(patch))
	d.DisallowUnknownFields()
	if err := d.Decode(&next); err != nil {
		return fail("what was asked for does not fit: "+err.Error(), err)
	}
	if d.More() {
		return fail("more than one JSON value was given", nil)
	}
	m := *c.Manifest
	m.Outputs = next
	check := &checker{m: &m, problems: problems{file: c.Name}}
	check.outputs()
	if err := check.problems.err(); err != nil {
		return err
	}
	c.Manifest.Outputs = m.Outputs
	return nil
}

// copyOutputs shares no list with o, so that decoding over the copy leaves o alone.
func copyOutputs(o Outputs) (out Outputs, err error) {
	text, err := json.Marshal(o)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(text, &out)
}

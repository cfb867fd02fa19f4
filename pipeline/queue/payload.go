package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
)

// taskType is the type of all tasks.
const taskType = "look"

// payloadVersion is the version of the payload that this program writes and reads.
const payloadVersion = 1

// maxJobID is the longest job id that is believed, in bytes.
const maxJobID = 128

// payload is what a task says.
type payload struct {
	V   int    `json:"v"`
	Job string `json:"job"`
}

// writePayload returns the payload of a ticket for the job.
func writePayload(job string) ([]byte, error) {
	if err := checkJobID(job); err != nil {
		return nil, err
	}
	return json.Marshal(payload{V: payloadVersion, Job: job})
}

// readPayload returns the job that a task asks to look at. The task may come from
// any version of this program, or from anybody who can reach Redis.
func readPayload(kind string, data []byte) (string, error) {
	if kind != taskType {
		return "", fmt.Errorf("the task's type is %.40q, not %q", kind, taskType)
	}
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return "", fmt.Errorf("the payload is not readable: %w", err)
	}
	if p.V != payloadVersion {
		return "", fmt.Errorf("the payload's version is %d, not %d", p.V, payloadVersion)
	}
	return p.Job, checkJobID(p.Job)
}

func checkJobID(id string) error {
	if id == "" || len(id) > maxJobID {
		return fmt.Errorf("the job id has %d bytes, not 1 to %d", len(id), maxJobID)
	}
	for _, r := range id {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return errors.New("the job id has characters that no id has")
		}
	}
	return nil
}

package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rushes/catalog"
)

// NotMadeAgain is the kind of the defect that a job which makes assets again has for each asset that it could not make:
// there, no failed asset is registered. Its detail begins with the id of the asset that stays.
const NotMadeAgain = "not-made-again"

// NotMade gives the reason why a job did not make the asset of this id again, or "".
func NotMade(job catalog.Job, assetID string) string {
	for _, d := range job.Defects {
		if reason, ok := strings.CutPrefix(d.Detail, assetID+": "); ok && d.Kind == NotMadeAgain {
			return reason
		}
	}
	return ""
}

// notMade are the defects of that kind.
func (a *attempt) notMade() (defects []catalog.Defect) {
	for _, w := range a.works {
		if a.job.Generation > 0 && w.failure != nil && w.before != "" {
			defects = append(defects, catalog.Defect{Kind: NotMadeAgain, Detail: w.before + ": " + oneLine(w.failure), Track: w.Asset.Metadata.TrackID})
		}
	}
	return defects
}

// Again gives the options of a job that makes some assets of one capture again. They are those of the jobs that made
// them, of which later ones stand before earlier ones, and change before all. Types that none of the assets is of are
// left out, also where the manifest asks for them.
func Again(made []catalog.Job, change Options, assets []catalog.Asset) (Options, error) {
	made = slices.Clone(made)
	slices.SortFunc(made, func(a, b catalog.Job) int { return strings.Compare(a.ID, b.ID) })
	var again Options
	outputs := map[string]any{}
	for _, job := range made {
		var o Options
		if len(job.Options) > 0 {
			if err := json.Unmarshal(job.Options, &o); err != nil {
				return again, fmt.Errorf("options of job %s: %w", job.ID, err)
			}
		}
		if err := merge(outputs, o.Outputs); err != nil {
			return again, fmt.Errorf("outputs of job %s: %w", job.ID, err)
		}
		again.Settings = again.Settings.with(o.Settings)
	}
	if err := merge(outputs, change.Outputs); err != nil {
		return again, fmt.Errorf("outputs: %w", err)
	}
	again.Settings = again.Settings.with(change.Settings)
	var types []string
	for _, a := range assets {
		types, again.Only = append(types, string(a.Type)), append(again.Only, a.Key)
	}
	slices.Sort(types)
	slices.Sort(again.Only)
	outputs["assets"], again.Only = slices.Compact(types), slices.Compact(again.Only)
	var err error
	again.Outputs, err = json.Marshal(outputs)
	return again, err
}

// merge writes the fields of a JSON object over those that are there, objects field by field.
func merge(into map[string]any, patch json.RawMessage) error {
	if len(patch) == 0 {
		return nil
	}
	var over map[string]any
	d := json.NewDecoder(bytes.NewReader(patch))
	d.UseNumber()
	if err := d.Decode(&over); err != nil {
		return err
	}
	mergeObject(into, over)
	return nil
}

func mergeObject(into, over map[string]any) {
	for name, value := range over {
		below, isObject := value.(map[string]any)
		there, isThere := into[name].(map[string]any)
		if isObject && isThere {
			mergeObject(there, below)
			continue
		}
		into[name] = value
	}
}

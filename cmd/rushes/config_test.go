package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rushes/pipeline"
)

// TestConfigFile holds the order of what settles a flag: command line, environment, file, default; and lists, times and
// switches of the file.
func TestConfigFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config := filepath.Join(folder, "other.yaml")
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	// Where assets are said to lie shows which setting has won.
	store := func(dir string, env []string, args ...string) string {
		cmd := child(t.Context(), t, append([]string{"doctor"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		for line := range strings.Lines(string(out)) {
			if rest, ok := strings.CutPrefix(line, "ok    store "); ok {
				name, _, _ := strings.Cut(rest, ":")
				return name
			}
		}
		return string(out)
	}
	write(config, "# comment\ndata: "+folder+"/data\nstore: "+folder+"/of-file\npreset: ultrafast\nfan-out: 1h\nretain: [track=30, stream=2]\ns3-path-style: true\n")
	write(filepath.Join(folder, "rushes.yaml"), "data: "+folder+"/data\nstore: "+folder+"/of-default\n")
	empty := t.TempDir()
	env := []string{"RUSHES_STORE=" + folder + "/of-environment"}
	require.Equal(t, folder+"/of-file", store(empty, nil, "--config", config))
	require.Equal(t, folder+"/of-file", store(empty, nil, "--config="+config))
	require.Equal(t, folder+"/of-file", store(empty, []string{"RUSHES_CONFIG=" + config}))
	require.Equal(t, folder+"/of-default", store(folder, nil))
	require.Equal(t, folder+"/of-file", store(folder, nil, "--config", config))
	require.Equal(t, folder+"/of-environment", store(folder, env))
	require.Equal(t, folder+"/of-line", store(folder, env, "--store", folder+"/of-line"))
	require.Equal(t, filepath.Join(empty, "rushes-data", "blobs"), store(empty, nil))
	require.NoDirExists(t, filepath.Join(folder, "data"))
}

// TestConfigFileRefused holds files that cannot be used to one line that names file and line, and exit status 2.
func TestConfigFileRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"unknown":           {"data: x\n\nfrobnicate: 1\n", `line 3: "frobnicate" is no setting`},
		"without variable":  {"limit: 3\n", `line 1: "limit" is no setting`},
		"itself":            {"config: other.yaml\n", `line 1: "config" is no setting`},
		"twice":             {"data: x\ndata: y\n", `line 2: "data" is there twice`},
		"a map":             {"s3:\n  endpoint: x\n", `line 1: "s3": a value or a list is wanted`},
		"a list of maps":    {"roles: [{a: 1}]\n", `line 1: "roles": a list of plain values`},
		"a list":            {"- data\n", `line 1: lines of "name: value"`},
		"text":              {"data\n", `line 1: lines of "name: value"`},
		"no yaml":           {"data: x\n\tstore: y\n", "it is no YAML: line 2"},
		"value":             {"s3-checksums: never\n", "--s3-checksums"},
		"terminal escapes":  {"\"\\e[31mred\": 1\n", "is no setting"},
		"not there":         {"", "no such file"},
		"a time":            {"fan-out: long\n", "--fan-out"},
		"a type":            {"retain: song=3\n", "--retain"},
		"half a day":        {"retain: track=0.5\n", "a whole number of days"},
		"a type, twice":     {"retain: [track=1, track=2]\n", "is there twice"},
		"no kind of folder": {"store: gopher://x\n", "neither an s3:// address nor a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := filepath.Join(t.TempDir(), "c.yaml")
			if tc.text != "" {
				require.NoError(t, os.WriteFile(config, []byte(tc.text), 0o600))
			}
			code, command := pipeline.ExitUsage, []string{"worker", "--redis", "redis://127.0.0.1:1"}
			if name == "no kind of folder" {
				code = pipeline.ExitOther
			}
			got := rushes(t, append(command, "--config", config, "--data", t.TempDir())...)
			requireOneLine(t, got, code, tc.want)
			require.NotContains(t, got.stderr, "\x1b")
		})
	}
}

// TestKeysAndLinks makes, lists and revokes access keys of several apps, and links of a folder by keys that are made
// when they are needed, for this machine alone.
func TestKeysAndLinks(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	type made struct {
		AccessKey string `json:"access_key"`
		AppID     string `json:"app_id"`
		Secret    string `json:"secret"`
		RevokedAt string `json:"revoked_at"`
	}
	create := func(args ...string) made {
		got := rushes(t, append([]string{"keys", "create", "--json", "--data", data}, args...)...)
		requireSuccess(t, got)
		return parse[made](t, got.stdout)
	}
	one, two, other := create(), create(), create("--app", "other")
	require.Regexp(t, "^[0-9a-f]{24}$", one.AccessKey)
	require.NotEqual(t, one.Secret, two.Secret)
	require.Equal(t, []string{"default", "default", "other"}, []string{one.AppID, two.AppID, other.AppID})
	requireSuccess(t, rushes(t, "keys", "revoke", two.AccessKey, "--data", data))
	requireSuccess(t, rushes(t, "keys", "revoke", two.AccessKey, "--data", data))
	requireOneLine(t, rushes(t, "keys", "revoke", "nobody", "--data", data), pipeline.ExitOther, `no access key "nobody"`)
	requireOneLine(t, rushes(t, "keys", "create", "--app", "a b", "--data", data), pipeline.ExitUsage, "--app")
	got := rushes(t, "keys", "list", "--json", "--data", data)
	requireSuccess(t, got)
	list := parse[[]made](t, got.stdout)
	require.Len(t, list, 3)
	for _, k := range list {
		require.Empty(t, k.Secret)
		require.Equal(t, k.AccessKey == two.AccessKey, k.RevokedAt != "")
	}
	require.Contains(t, rushes(t, "keys", "list", "--app", "other", "--data", data).stdout, other.AccessKey)

	folder := copied(t)
	id := process(t, data, folder).Assets[0].ID
	link := rushes(t, "assets", "link", id, "--data", data, "--base-url", "https://media.example.com/", "--expires", "90s")
	requireSuccess(t, link)
	require.Regexp(t, `^https://media\.example\.com/files/beam/.+\?e=[0-9]+&k=key-1.*&s=[^&]+\n$`, link.stdout)
	info, err := os.Stat(filepath.Join(data, keyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(filepath.Join(data, keyFile))
	require.NoError(t, err)
	_, secret, _ := strings.Cut(strings.TrimSpace(string(text)), "=")
	require.NotContains(t, link.stdout, secret)
	for name, args := range map[string][]string{
		"--expires": {id, "--expires", "59s"}, "168h": {id, "--expires", "169h"}, "--base-url": {id, "--base-url", "media"}, "path": {id, "--base-url", "https://x/y"},
	} {
		got := rushes(t, append([]string{"assets", "link", "--data", data}, args...)...)
		require.Equal(t, pipeline.ExitUsage, got.code, "%s: %s", name, got.stderr)
	}
	requireOneLine(t, rushes(t, "assets", "link", strings.Repeat("0", 24), "--data", data), pipeline.ExitOther, "no asset has the id")
}

// TestDeleteCommands deletes on this machine, by wish and by age.
func TestDeleteCommands(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	a := process(t, data, copied(t)).Assets[0]
	b := process(t, data, twoParts(t)).Assets[0]
	requireOneLine(t, rushes(t, "assets", "delete", "../x", "--data", data), pipeline.ExitUsage, "is no id of an asset")
	requireOneLine(t, rushes(t, "assets", "expire", "--data", data), pipeline.ExitUsage, "--retain")
	dry := rushes(t, "assets", "delete", "--dry-run", a.ID, b.ID, "--data", data)
	requireSuccess(t, dry)
	require.Equal(t, 2, strings.Count(dry.stdout, "would be deleted"))
	require.FileExists(t, a.File)
	got := rushes(t, "assets", "delete", a.ID, strings.Repeat("0", 24), "--json", "--data", data)
	requireSuccess(t, got)
	out := parse[[]deletion](t, got.stdout)
	require.Equal(t, []bool{true, false}, []bool{out[0].Deleted, out[1].Deleted})
	require.Equal(t, a.Size, out[0].Bytes)
	requireNoStrays(t, data, append(b.Thumbnails, b.Path)...)
	requireSuccess(t, rushes(t, "assets", "expire", "--retain", "room-composite=1", "--data", data))
	require.FileExists(t, b.File, "it is of today")
}

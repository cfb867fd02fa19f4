package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// pinned is an image of which a tag names one release: a version with two numbers or more.
const pinned = `^[a-z0-9][a-z0-9/-]*:v?[0-9]+(\.[0-9]+)+(-[a-z0-9.]+)?$`

// top reads a file of the top folder.
func top(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	require.NoError(t, err)
	return string(text)
}

// packagesOf lists the packages of groups in .ci/packages.
func packagesOf(t *testing.T, groups ...string) (names []string) {
	t.Helper()
	for line := range strings.Lines(top(t, ".ci/packages")) {
		if f := strings.Fields(line); len(f) == 3 && slices.Contains(groups, f[0]) {
			names = append(names, f[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// dockerStage is a part of the Dockerfile from one FROM to the next.
type dockerStage struct {
	name, image string
	lines       []string // instructions, each on one line
}

func (s dockerStage) args(instruction string) (found []string) {
	for _, l := range s.lines {
		if rest, ok := strings.CutPrefix(l, instruction+" "); ok {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	return found
}

func dockerStages(t *testing.T) (stages []dockerStage) {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(top(t, "Dockerfile"), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if from, ok := strings.CutPrefix(line, "FROM "); ok {
			f := strings.Fields(from)
			require.Len(t, f, 3, "every stage has a name: %q", line)
			require.Equal(t, "AS", f[1])
			stages = append(stages, dockerStage{name: f[2], image: f[0]})
			continue
		}
		if line != "" {
			require.NotEmpty(t, stages, "%q comes before the first FROM", line)
			require.Regexp(t, `^(RUN|COPY|WORKDIR|ARG|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD|ENV) `, line)
			last := &stages[len(stages)-1]
			last.lines = append(last.lines, line)
		}
	}
	return stages
}

// TestDockerfile holds the Dockerfile against go.mod, .ci/packages, the tests' own S3 server and the command line.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := map[string]dockerStage{}
	for _, s := range dockerStages(t) {
		require.Regexp(t, pinned, s.image)
		stages[s.name] = s
		for _, c := range s.args("COPY") {
			if from, ok := strings.CutPrefix(c, "--from="); ok {
				name, _, _ := strings.Cut(from, " ")
				require.Contains(t, stages, name, "COPY %s", c)
			}
		}
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(top(t, "go.mod"))
	require.NotNil(t, goVersion)
	for name, want := range map[string]string{"build": "golang:" + goVersion[1] + ".", "s3-build": "golang:" + goVersion[1] + ".", "rushes": "debian:13.", "s3": "debian:13."} {
		require.True(t, strings.HasPrefix(stages[name].image, want), "%s is made from %s", name, stages[name].image)
	}
	for name, groups := range map[string][]string{"build": {"base", "system"}, "rushes": {"image"}} {
		install := regexp.MustCompile(`apt-get install -y --no-install-recommends ([^&]+)`).FindStringSubmatch(strings.Join(stages[name].lines, "\n"))
		require.NotNil(t, install, name)
		have := strings.Fields(install[1])
		slices.Sort(have)
		require.Equal(t, packagesOf(t, groups...), have, "packages of stage %s", name)
	}
	version := regexp.MustCompile(`(?m)^version=(\S+)`).FindStringSubmatch(top(t, "catalog/blob/blobtest/versitygw.sh"))
	require.NotNil(t, version)
	require.Contains(t, stages["s3-build"].args("RUN")[0], "versitygw@"+version[1], "the S3 server is the one of the tests")
	for _, name := range []string{"rushes", "s3"} {
		s := stages[name]
		require.Equal(t, []string{"10001:10001"}, s.args("USER"), "%s does not run as root", name)
		require.Len(t, s.args("HEALTHCHECK"), 1)
		require.Len(t, s.args("ENTRYPOINT"), 1)
	}
	last := stages["rushes"]
	require.Equal(t, last, dockerStages(t)[len(stages)-1], "without a target, Rushes is built")
	require.Equal(t, []string{`["rushes"]`}, last.args("ENTRYPOINT"))
	require.Equal(t, []string{`["serve"]`}, last.args("CMD"))
	variables := map[string]string{}
	for _, pair := range strings.Fields(last.args("ENV")[0]) {
		name, value, _ := strings.Cut(pair, "=")
		variables[name] = value
	}
	accepted(t, []string{"serve"}, variables)
	port := last.args("EXPOSE")[0]
	require.True(t, strings.HasSuffix(variables["RUSHES_LISTEN"], ":"+port))
	require.Contains(t, last.args("HEALTHCHECK")[0], "127.0.0.1/"+port)
	for _, name := range []string{".git", "bin", "demo", "rushes-data"} {
		require.Contains(t, strings.Fields(top(t, ".dockerignore")), name)
	}
}

// accepted wants a command line to be understood with these variables, all of which belong to it.
func accepted(t *testing.T, args []string, variables map[string]string) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, kong.Name("rushes"))
	require.NoError(t, err)
	flags := map[string]string{} // of the command, by variable
	for _, node := range append([]*kong.Node{parser.Model.Node}, parser.Model.Children...) {
		if node.Type == kong.ApplicationNode || node.Name == args[0] {
			for _, f := range node.Flags {
				for _, name := range f.Envs {
					flags[name] = f.Name
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !strings.HasPrefix(name, "RUSHES_") {
			require.Regexp(t, "^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|REGION)$", name)
			continue
		}
		require.Contains(t, flags, name, "rushes %s has no such variable", args[0])
		args = append(args, "--"+flags[name]+"="+variables[name])
	}
	_, err = parser.Parse(args)
	require.NoError(t, err)
}

// composeFile is what is looked at of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Image string `yaml:"image"`
		Build *struct {
			Context string `yaml:"context"`
			Target  string `yaml:"target"`
		} `yaml:"build"`
		Command     []string                     `yaml:"command"`
		Environment map[string]string            `yaml:"environment"`
		DependsOn   map[string]map[string]string `yaml:"depends_on"`
		Volumes     []string                     `yaml:"volumes"`
		Ports       []string                     `yaml:"ports"`
		Healthcheck *struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
}

// filled puts the defaults of ${NAME:-default} into a text.
func filled(text string) string {
	return regexp.MustCompile(`\$\{[A-Z0-9_]+:-([^}]*)\}`).ReplaceAllString(text, "$1")
}

// TestCompose holds compose.yaml against the Dockerfile and the command line.
func TestCompose(t *testing.T) {
	t.Parallel()
	var c composeFile
	require.NoError(t, yaml.Unmarshal([]byte(top(t, "compose.yaml")), &c))
	require.ElementsMatch(t, []string{"redis", "postgres", "s3", "serve", "worker"}, slices.Collect(maps.Keys(c.Services)))
	stages := map[string]dockerStage{}
	for _, s := range dockerStages(t) {
		stages[s.name] = s
	}
	for name, s := range c.Services {
		require.Regexp(t, pinned, s.Image, name)
		checked := s.Healthcheck != nil
		if s.Build != nil {
			require.Equal(t, ".", s.Build.Context)
			require.Contains(t, stages, s.Build.Target, name)
			checked = len(stages[s.Build.Target].args("HEALTHCHECK")) == 1
		}
		require.True(t, checked, "%s has a health check", name)
		for other, on := range s.DependsOn {
			require.Contains(t, c.Services, other, name)
			require.Equal(t, "service_healthy", on["condition"], name)
		}
		for _, v := range s.Volumes {
			if volume, _, named := strings.Cut(v, ":"); named {
				require.Contains(t, c.Volumes, volume, name)
			}
		}
		for _, p := range s.Ports {
			require.Regexp(t, `^127\.0\.0\.1:`, p, "%s is open to this machine only", name)
		}
		for variable, value := range s.Environment {
			// Whoever runs this elsewhere must be able to set them, and sees what they are if he does not.
			if regexp.MustCompile(`(PASSWORD|SECRET|SIGNING|ACCESS_KEY)`).MatchString(variable) || strings.Contains(value, "@") {
				require.Regexp(t, `\$\{[A-Z0-9_]+:-[^}]*for-development-only\}`, value, "%s of %s", variable, name)
			}
		}
	}
	for _, name := range []string{"serve", "worker"} {
		s := c.Services[name]
		require.Equal(t, []string{name}, s.Command)
		variables := map[string]string{}
		for k, v := range s.Environment {
			variables[k] = filled(v)
		}
		accepted(t, s.Command, variables)
		require.ElementsMatch(t, []string{"redis", "postgres", "s3"}, slices.Collect(maps.Keys(s.DependsOn)))
		require.Equal(t, filled(c.Services["s3"].Environment["ROOT_SECRET_ACCESS_KEY"]), variables["AWS_SECRET_ACCESS_KEY"])
		require.Equal(t, filled(c.Services["s3"].Environment["ROOT_ACCESS_KEY_ID"]), variables["AWS_ACCESS_KEY_ID"])
		require.Contains(t, variables["RUSHES_CATALOG"], filled(c.Services["postgres"].Environment["POSTGRES_PASSWORD"])+"@postgres:")
		bucket, _, _ := strings.Cut(strings.TrimPrefix(variables["RUSHES_STORE"], "s3://"), "/")
		require.Contains(t, strings.Join(stages["s3"].lines, "\n"), "/buckets/"+bucket+" ", "the bucket is made")
		require.True(t, slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+variables["RUSHES_BACKUP_STORE"]) }))
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// readme is the text of README.md.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	return string(text)
}

// unique gives the first group, or all, of every match, each once.
func unique(re, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(text, -1) {
		found = append(found, m[len(m)-1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestReadmeFlags holds the flags, variables and subcommands of the README against the command line's own.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	var c cli
	parser, err := kong.New(&c)
	require.NoError(t, err)
	var flags, commands []string
	require.NoError(t, kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		switch node := node.(type) {
		case *kong.Flag:
			flags = append(flags, "--"+node.Name)
			for _, name := range node.Envs {
				require.Regexp(t, "`--"+node.Name+"`[^\n]*`"+name+"`", readme(t))
			}
		case *kong.Node:
			if node.Leaf() && node.Type == kong.CommandNode {
				commands = append(commands, strings.TrimSpace(node.Path()))
			}
		}
		return next(nil)
	}))
	slices.Sort(flags)
	// FFmpeg's own, of the paragraph on the licence.
	require.Equal(t, append(slices.Compact(flags), "--enable-gpl", "--enable-version3"), sortedLast(unique(`--[a-z][a-z0-9-]+`, readme(t)), "--enable-"))
	var named []string
	for _, row := range unique("(?m)^\\| `rushes ([a-z ]+)", readme(t)) {
		named = append(named, strings.TrimSpace(row))
	}
	slices.Sort(commands)
	require.Equal(t, commands, named)
}

// sortedLast moves what begins with a prefix behind the others.
func sortedLast(list []string, prefix string) []string {
	var last []string
	list = slices.DeleteFunc(list, func(s string) bool {
		if strings.HasPrefix(s, prefix) {
			last = append(last, s)
			return true
		}
		return false
	})
	return append(list, last...)
}

// TestReadmeMake holds the targets and variables of the README against the Makefile's.
func TestReadmeMake(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	makefile := string(text)
	require.Equal(t, unique(`(?m)^([a-z-]+):.*## `, makefile), unique("(?m)^\\| `make ([a-z-]+)`", readme(t)))
	code := strings.Join(unique("(?m)(`[^`]*`|^    [^#\n]*)", readme(t)), "\n")
	for _, target := range unique(`make (?:-s )?([a-z-]+)`, code) {
		require.Contains(t, unique(`(?m)^([a-z-]+):`, makefile), target)
	}
	for _, name := range unique(`(?m)^([A-Z_]+) *\?=`, makefile) {
		require.Regexp(t, "`"+name+"[=`]", readme(t))
	}
	for _, name := range unique("`([A-Z_]+)(?:=[a-z]*)?`", readme(t)) {
		if !strings.HasPrefix(name, "RUSHES_") && name != "LICENSE" {
			require.Contains(t, unique(`(?m)^([A-Z_]+) *\?=`, makefile), name)
		}
	}
}

// TestReadmeVariables looks for RUSHES_* in all sources and scripts: the README names them, and no others. What a
// test says to a process of its own, and include guards, are nobody else's business.
func TestReadmeVariables(t *testing.T) {
	t.Parallel()
	var found []string
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == ".git" || name == "testdata" || name == "bin" || name == "demo") {
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(name, ".md") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, v := range unique(`RUSHES_[A-Z_]+[A-Z]`, string(text)) {
			own := strings.HasSuffix(name, "_test.go") && v != "RUSHES_TEST_REQUIRE" && v != "RUSHES_SOAK" && v != "RUSHES_BENCH"
			if !own && !strings.HasSuffix(v, "_H") {
				found = append(found, v)
			}
		}
		return err
	}))
	slices.Sort(found)
	require.Equal(t, slices.Compact(found), unique(`RUSHES_[A-Z_]+[A-Z]`, readme(t)))
}

// TestReadmeDependencies wants a row for every module that go.mod asks for, and for no other.
func TestReadmeDependencies(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	var direct []string
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^(?:require )?\s*(\S+\.\S+/\S+) v\S+\s*$`).FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			direct = append(direct, m[1])
		}
	}
	slices.Sort(direct)
	require.NotEmpty(t, direct)
	require.Equal(t, direct, unique("(?m)^\\| `([a-z.]+/[^` ]+)` \\|", readme(t)))
}

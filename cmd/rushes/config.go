package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

const (
	// defaultConfig is the configuration file that is read where none is named, if it is there.
	defaultConfig = "rushes.yaml"
	configFlag    = "config"
	configEnv     = "RUSHES_CONFIG"
)

// configFile is a configuration file: flags by their names, below the command line and the environment. Its keys are
// the names of those flags that have a variable; a value is one, or a list where the flag takes a list.
type configFile struct {
	name   string
	lines  map[string]int // of the keys
	values *koanf.Koanf
}

var _ kong.Resolver = (*configFile)(nil)

// readConfig reads the file that the command line or the environment names, or the default one. Nil says that there
// is none.
func readConfig(args []string) (*configFile, error) {
	name, given := os.LookupEnv(configEnv)
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--"+configFlag+"="); ok {
			name, given = value, true
		} else if arg == "--"+configFlag && i+1 < len(args) {
			name, given = args[i+1], true
		}
	}
	if !given || name == "" {
		name = defaultConfig
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && name == defaultConfig && !given {
		return nil, nil //nolint:nilnil // nothing there
	}
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", configFlag, err)
	}
	c := &configFile{name: name, lines: map[string]int{}, values: koanf.New("/")} // no name of a flag has that
	if err := c.values.Load(yamlText(text), c); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// yamlText hands a file's text to koanf.
type yamlText []byte

// ReadBytes returns the text.
func (y yamlText) ReadBytes() ([]byte, error) { return y, nil }

// Read is for what needs no parser.
func (y yamlText) Read() (map[string]any, error) { return nil, errors.ErrUnsupported }

// Marshal is not needed.
func (c *configFile) Marshal(map[string]any) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmarshal reads YAML. Its errors name lines and keys, never values: there may be passwords.
func (c *configFile) Unmarshal(text []byte) (map[string]any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("it is no YAML" + lineOf(err))
	}
	out := map[string]any{}
	if len(doc.Content) == 0 {
		return out, nil
	}
	top := doc.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return out, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: lines of \"name: value\" are wanted", top.Line)
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if _, twice := out[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", key.Line, quoted(key.Value))
		}
		text, err := scalar(value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", key.Line, quoted(key.Value), err)
		}
		out[key.Value], c.lines[key.Value] = text, key.Line
	}
	return out, nil
}

// lineOf finds the line in an error of the YAML parser, whose text may show values.
func lineOf(err error) string {
	_, rest, ok := strings.Cut(err.Error(), "line ")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if !ok || end <= 0 {
		return ""
	}
	return ": line " + rest[:end]
}

// scalar gives a value as a flag takes it.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		var list []string
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode || strings.Contains(e.Value, ",") {
				return "", errors.New("a list of plain values without commas is wanted")
			}
			list = append(list, e.Value)
		}
		return strings.Join(list, ","), nil
	}
	return "", errors.New("a value or a list is wanted")
}

// option has the file asked for what the command line leaves open.
func (c *configFile) option() kong.Option {
	if c == nil {
		return kong.Resolvers()
	}
	return kong.Resolvers(c)
}

// Validate refuses what no flag is called.
func (c *configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Envs) > 0 && flag.Name != configFlag {
			known[flag.Name] = true
		}
		return next(nil)
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.SortedFunc(maps.Keys(c.lines), func(a, b string) int { return c.lines[a] - c.lines[b] }) {
		if !known[key] {
			errs = append(errs, fmt.Errorf("%s: line %d: %s is no setting", c.name, c.lines[key], quoted(key)))
		}
	}
	return errors.Join(errs...)
}

// Resolve gives the value of a flag that is neither on the command line nor in the environment.
func (c *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if _, ok := c.lines[flag.Name]; !ok || len(flag.Envs) == 0 || flag.Name == configFlag {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	return c.values.String(flag.Name), nil
}

// quoted shows a key, cut where it is long.
func quoted(key string) string {
	const most = 64
	if len(key) > most {
		key = key[:most] + "…"
	}
	return fmt.Sprintf("%q", clean(key))
}

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	modulePath = "rushes"
	repoRoot   = "../.."
	importFile = "testdata/imports.txt"
	avPackage  = modulePath + "/transcode/internal/av"
)

// TestImportTable holds every package of the module against the import table.
func TestImportTable(t *testing.T) {
	t.Parallel()
	table := loadImportTable(t)
	packages := listPackages(t)
	require.NotEmpty(t, packages)
	require.Empty(t, table.violations(packages), "see %s", importFile)
}

// TestImportTableFindsViolations shows on made-up packages that the check of TestImportTable fails
// where it has to, and only there.
func TestImportTableFindsViolations(t *testing.T) {
	t.Parallel()
	table, err := parseImportTable(strings.NewReader(`
# comment
base   pure   -
door   libav  -
user   libav  base door
suite  pure   base
all    libav  *
testonly suite
only C                 door
only example.org/lib   door
`))
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		pkg  goPackage
		want string // part of the only finding; empty for none
	}{
		"nothing imported":        {goPackage{ImportPath: "rushes/base"}, ""},
		"allowed":                 {goPackage{ImportPath: "rushes/user", Imports: []string{"fmt", "rushes/base"}}, ""},
		"not allowed":             {goPackage{ImportPath: "rushes/base", Imports: []string{"rushes/user"}}, "rushes/base may not import rushes/user"},
		"no row":                  {goPackage{ImportPath: "rushes/new"}, "rushes/new has no row"},
		"below a package":         {goPackage{ImportPath: "rushes/base/sub"}, "rushes/base/sub has no row"},
		"star":                    {goPackage{ImportPath: "rushes/all", Imports: []string{"rushes/user", "rushes/suite"}}, ""},
		"not allowed in a test":   {goPackage{ImportPath: "rushes/base", TestImports: []string{"rushes/user"}}, "tests of rushes/base may not import rushes/user"},
		"not allowed in an xtest": {goPackage{ImportPath: "rushes/base", XTestImports: []string{"rushes/user"}}, "tests of rushes/base may not import rushes/user"},
		"itself and a suite":      {goPackage{ImportPath: "rushes/user", XTestImports: []string{"rushes/user", "rushes/suite"}}, ""},
		"suite outside a test":    {goPackage{ImportPath: "rushes/user", Imports: []string{"rushes/suite"}}, "rushes/user may not import rushes/suite"},
		"door":                    {goPackage{ImportPath: "rushes/door", Imports: []string{"C", "example.org/lib/v2"}}, ""},
		"library past its door":   {goPackage{ImportPath: "rushes/user", Imports: []string{"example.org/lib"}}, "rushes/user may not import example.org/lib"},
		"below that library":      {goPackage{ImportPath: "rushes/all", Imports: []string{"example.org/lib/sub"}}, "rushes/all may not import example.org/lib/sub"},
		"library with its prefix": {goPackage{ImportPath: "rushes/all", Imports: []string{"example.org/library"}}, ""},
		"library in a test":       {goPackage{ImportPath: "rushes/user", TestImports: []string{"example.org/lib"}}, "tests of rushes/user may not import example.org/lib"},
		"cgo":                     {goPackage{ImportPath: "rushes/user", Imports: []string{"C"}}, "rushes/user may not import C"},
		"cgo by its files":        {goPackage{ImportPath: "rushes/user", CgoFiles: []string{"x.go"}}, "rushes/user may not import C"},
		"pure reaching libav":     {goPackage{ImportPath: "rushes/base", Deps: []string{"fmt", avPackage}}, "rushes/base is pure and reaches " + avPackage},
		"libav reaching libav":    {goPackage{ImportPath: "rushes/user", Deps: []string{avPackage}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := table.violations([]goPackage{tc.pkg})
			if tc.want == "" {
				require.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			require.Contains(t, got[0], tc.want)
		})
	}
}

// TestImportTableSyntax shows that a slip in the table is an error and not a rule that is lost.
func TestImportTableSyntax(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a", "a pure", "a green -", "a pure b", "a pure - -", "a pure a",
		"a pure -\na pure -", "testonly a", "a pure -\nonly lib", "only lib a", "a pure -\ntestonly",
	} {
		_, err := parseImportTable(strings.NewReader(text))
		require.Error(t, err, "%q", text)
	}
}

// goPackage is what go list says of a package, as far as the import table looks at it.
type goPackage struct {
	ImportPath, Dir                    string
	Imports, TestImports, XTestImports []string
	Deps, CgoFiles, IgnoredGoFiles     []string
}

// importTable is testdata/imports.txt.
type importTable struct {
	rows     []importRow       // in the order of the file
	testOnly []string          // import paths
	doors    map[string]string // path of a module, or C: the only package that imports it
	doorKeys []string          // the keys of doors in the order of the file
}

// importRow says what one package may import. Packages are full import paths.
type importRow struct {
	path    string
	pure    bool
	any     bool
	imports []string
}

func loadImportTable(t *testing.T) importTable {
	t.Helper()
	file, err := os.Open(importFile)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	table, err := parseImportTable(file)
	require.NoError(t, err)
	return table
}

func parseImportTable(r io.Reader) (importTable, error) {
	table := importTable{doors: map[string]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := table.add(fields); err != nil {
			return importTable{}, fmt.Errorf("%s:%d: %w", importFile, n, err)
		}
	}
	return table, errors.Join(lines.Err(), table.validate())
}

func (table *importTable) add(fields []string) error {
	switch {
	case fields[0] == "testonly" && len(fields) == 2:
		table.testOnly = append(table.testOnly, modulePath+"/"+fields[1])
	case fields[0] == "only" && len(fields) == 3:
		table.doors[fields[1]] = modulePath + "/" + fields[2]
		table.doorKeys = append(table.doorKeys, fields[1])
	case fields[0] == "testonly" || fields[0] == "only" || len(fields) < 3:
		return errors.New("not a row, a testonly line or an only line")
	case fields[1] != "pure" && fields[1] != "libav":
		return fmt.Errorf("%q is neither pure nor libav", fields[1])
	default:
		row := importRow{path: modulePath + "/" + fields[0], pure: fields[1] == "pure"}
		row.any = len(fields) == 3 && fields[2] == "*"
		if !row.any && !slices.Equal(fields[2:], []string{"-"}) {
			for _, name := range fields[2:] {
				row.imports = append(row.imports, modulePath+"/"+name)
			}
		}
		table.rows = append(table.rows, row)
	}
	return nil
}

// validate finds names without a row, so that a misspelt one does not silently allow or forbid nothing.
func (table *importTable) validate() error {
	var problems []error
	named := slices.Clone(table.testOnly)
	for i, row := range table.rows {
		if slices.ContainsFunc(table.rows[:i], func(other importRow) bool { return other.path == row.path }) {
			problems = append(problems, fmt.Errorf("%s has two rows", row.path))
		}
		if slices.Contains(row.imports, row.path) {
			problems = append(problems, fmt.Errorf("%s imports itself", row.path))
		}
		named = append(named, row.imports...)
	}
	for _, door := range table.doorKeys {
		named = append(named, table.doors[door])
	}
	for _, name := range named {
		if _, ok := table.row(name); !ok {
			problems = append(problems, fmt.Errorf("%s is named and has no row", name))
		}
	}
	return errors.Join(problems...)
}

func (table *importTable) row(path string) (importRow, bool) {
	i := slices.IndexFunc(table.rows, func(row importRow) bool { return row.path == path })
	if i < 0 {
		return importRow{}, false
	}
	return table.rows[i], true
}

// violations lists what in packages the table forbids, in words.
func (table *importTable) violations(packages []goPackage) []string {
	var found []string
	for _, pkg := range packages {
		row, ok := table.row(pkg.ImportPath)
		if !ok {
			found = append(found, pkg.ImportPath+" has no row")
			continue
		}
		imports := pkg.Imports
		if len(pkg.CgoFiles) > 0 {
			imports = append(slices.Clone(imports), "C")
		}
		for _, path := range sortedSet(imports) {
			if !table.mayImport(row, path, false) {
				found = append(found, pkg.ImportPath+" may not import "+path)
			}
		}
		for _, path := range sortedSet(pkg.TestImports, pkg.XTestImports) {
			if !table.mayImport(row, path, true) {
				found = append(found, "tests of "+pkg.ImportPath+" may not import "+path)
			}
		}
		if row.pure && slices.Contains(pkg.Deps, avPackage) {
			found = append(found, pkg.ImportPath+" is pure and reaches "+avPackage)
		}
	}
	return found
}

func (table *importTable) mayImport(row importRow, path string, test bool) bool {
	if path == modulePath || strings.HasPrefix(path, modulePath+"/") {
		return row.any || slices.Contains(row.imports, path) ||
			test && (path == row.path || slices.Contains(table.testOnly, path))
	}
	for module, door := range table.doors {
		if (path == module || strings.HasPrefix(path, module+"/")) && row.path != door {
			return false
		}
	}
	return true
}

// listPackages asks the go command for the module's packages and adds the imports of files that
// build constraints leave out here, which would otherwise be a way round the table.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e",
		"-json=ImportPath,Dir,Imports,TestImports,XTestImports,Deps,CgoFiles,IgnoredGoFiles", "./...")
	cmd.Dir = repoRoot
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go list: %s", &stderr)

	var packages []goPackage
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var pkg goPackage
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return packages
		}
		require.NoError(t, err)
		addIgnoredFiles(t, &pkg)
		packages = append(packages, pkg)
	}
}

func addIgnoredFiles(t *testing.T, pkg *goPackage) {
	t.Helper()
	for _, name := range pkg.IgnoredGoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, name), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if strings.HasSuffix(name, "_test.go") {
				pkg.XTestImports = append(pkg.XTestImports, path)
			} else {
				pkg.Imports = append(pkg.Imports, path)
			}
		}
	}
}

func sortedSet(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

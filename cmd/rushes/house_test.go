package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The house asks for files of about 400 lines and functions of about 60; this is where "about" ends.
const (
	maxFileLines = 450
	maxFuncLines = 80
)

// TestHouseRules holds every Go file of the repository, whatever its build constraints, against the
// rules of the house that a machine can check.
func TestHouseRules(t *testing.T) {
	t.Parallel()
	var found []string
	documented := map[string]bool{} // folder: has a package comment
	walkRepository(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		file := parseGoFile(t, path, nil)
		dir := filepath.ToSlash(filepath.Dir(path))
		if !file.test {
			documented[dir] = documented[dir] || file.syntax.Doc != nil || ast.IsGenerated(file.syntax)
		}
		if !ast.IsGenerated(file.syntax) {
			found = append(found, file.violations()...)
		}
		if dir == "transcode/internal/av" && !file.test {
			found = append(found, file.exportedUses(astiavModule)...)
		}
	})
	for dir, ok := range documented {
		if !ok {
			found = append(found, dir+": the package has no comment")
		}
	}
	slices.Sort(found)
	if len(found) > 0 {
		t.Errorf("against the rules of the house:\n%s", strings.Join(found, "\n"))
	}
}

// TestHouseRulesFindViolations shows on made-up files that the check of TestHouseRules fails where it
// has to, and only there.
func TestHouseRulesFindViolations(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\n", maxFuncLines)
	for name, tc := range map[string]struct {
		path, source string
		want         []string
	}{
		"clean": {"a.go", `package a

// F does.
func F() { g() }
func g() {}
// T is.
type T struct{ A, b int }
// I is.
type I interface {
	// M and N do.
	M()
	N()

	O() // does too
	error
}
// Group of constants.
const (
	X = 1
	Y = 2
)
type hidden struct{ Public int }
func (hidden) Method() {}
`, nil},
		"no comments": {"a.go", `package a
func F() {}
type T struct{}
func (t *T) M() {}
type G[P any] struct{}
func (G[P]) M() {}
type I interface{
	M()
	// N does.
	N()

	O()
}
const X = 1
var Y, z = 1, 2
`, []string{"a.go:2: F", "a.go:3: T", "a.go:4: T.M", "a.go:5: G", "a.go:6: G.M", "a.go:7: I", "a.go:8: I.M", "a.go:12: I.O", "a.go:14: X", "a.go:15: Y"}},
		"init and panic": {"a.go", "package a\nfunc init() {}\nfunc f() {\n\tpanic(1)\n}\n",
			[]string{"a.go:2: init", "a.go:4: panic"}},
		"init and panic in a test": {"a_test.go", "package a\nfunc init() {}\nfunc F() { panic(1) }\n", []string{"a_test.go:2: init"}},
		"long function":            {"a.go", "package a\nfunc f() {" + long + "}\n", []string{"a.go:2: f has 81 lines,"}},
		"long test function":       {"a_test.go", "package a\nfunc f() {" + long + "}\n", nil},
		"longest function":         {"a.go", "package a\nfunc f() {" + long[1:] + "}\n", nil},
		"long file":                {"a_test.go", "package a\n" + strings.Repeat("\n", maxFileLines), []string{"a_test.go:451: the file has 451 lines,"}},
		"longest file":             {"a.go", "package a\n" + strings.Repeat("\n", maxFileLines-1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireFindings(t, tc.want, parseGoFile(t, tc.path, tc.source).violations())
		})
	}
}

// TestNoLibavTypeLeaks shows what counts as a go-astiav type in an exported signature of
// transcode/internal/av.
func TestNoLibavTypeLeaks(t *testing.T) {
	t.Parallel()
	const imports = "package av\nimport lib \"github.com/asticode/go-astiav\"\n"
	for source, want := range map[string][]string{
		"func F() *lib.Frame { return nil }":         {"a.go:3: F"},
		"func F(f func([]lib.Packet)) {}":            {"a.go:3: F"},
		"func f() *lib.Frame { return nil }":         nil,
		"func F() { var f *lib.Frame; _ = f }":       nil,
		"type T struct{ f *lib.Frame }":              nil,
		"type T struct{ F *lib.Frame }":              {"a.go:3: T"},
		"type T struct{ *lib.Frame }":                {"a.go:3: T"},
		"type T struct{ in struct{ F *lib.Frame } }": nil,
		"type T = lib.Frame":                         {"a.go:3: T"},
		"type T []*lib.Frame":                        {"a.go:3: T"},
		"type t = lib.Frame":                         nil,
		"type T interface{ M() lib.Frame }":          {"a.go:3: T"},
		"type t int\nfunc (t) M() lib.Frame":         nil,
		"type T int\nfunc (T) M() lib.Frame":         {"a.go:4: M"},
		"var V = lib.CodecIDH264":                    {"a.go:3: V"},
		"var v = lib.CodecIDH264":                    nil,
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			requireFindings(t, want, parseGoFile(t, "a.go", imports+source+"\n").exportedUses(astiavModule))
		})
	}
}

// requireFindings wants exactly one finding per prefix, in this order.
func requireFindings(t *testing.T, prefixes, found []string) {
	t.Helper()
	require.Len(t, found, len(prefixes), "%s", strings.Join(found, "\n"))
	for i, prefix := range prefixes {
		require.True(t, strings.HasPrefix(found[i], prefix+" "), "%q does not start with %q", found[i], prefix)
	}
}

// goFile is one parsed Go file.
type goFile struct {
	path   string // from the top folder
	test   bool
	set    *token.FileSet
	syntax *ast.File
}

// parseGoFile parses the file at path below the top folder, or source in its place when not nil.
func parseGoFile(t *testing.T, path string, source any) goFile {
	t.Helper()
	file := goFile{path: filepath.ToSlash(path), test: strings.HasSuffix(path, "_test.go"), set: token.NewFileSet()}
	var err error
	file.syntax, err = parser.ParseFile(file.set, filepath.Join(repoRoot, path), source, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return file
}

func (f goFile) line(pos token.Pos) int { return f.set.PositionFor(pos, false).Line }

func (f goFile) finding(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", f.path, f.line(pos), fmt.Sprintf(format, args...))
}

// violations lists what the file does against the rules, in the order of the file.
func (f goFile) violations() []string {
	var found []string
	for _, decl := range f.syntax.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			found = append(found, f.funcViolations(fn)...)
		}
		if !f.test {
			found = append(found, f.undocumented(decl)...)
			found = append(found, f.panics(decl)...)
		}
	}
	if lines := f.set.File(f.syntax.FileStart).LineCount(); lines > maxFileLines {
		found = append(found, f.finding(f.syntax.FileEnd, "the file has %d lines, more than %d", lines, maxFileLines))
	}
	return found
}

func (f goFile) funcViolations(fn *ast.FuncDecl) []string {
	var found []string
	if fn.Recv == nil && fn.Name.Name == "init" {
		found = append(found, f.finding(fn.Pos(), "init is not allowed"))
	}
	if lines := f.line(fn.End()) - f.line(fn.Type.Func) + 1; lines > maxFuncLines && !f.test {
		found = append(found, f.finding(fn.Type.Func, "%s has %d lines, more than %d", fn.Name.Name, lines, maxFuncLines))
	}
	return found
}

func (f goFile) panics(decl ast.Decl) []string {
	var found []string
	ast.Inspect(decl, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
				found = append(found, f.finding(call.Pos(), "panic is not allowed"))
			}
		}
		return true
	})
	return found
}

// undocumented lists the exported names of a declaration that have no comment.
func (f goFile) undocumented(decl ast.Decl) []string {
	var found []string
	missing := func(name *ast.Ident, owner string) {
		found = append(found, f.finding(name.Pos(), "%s%s has no comment", owner, name.Name))
	}
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		receiver := receiverName(decl)
		if decl.Name.IsExported() && decl.Doc == nil && (decl.Recv == nil || token.IsExported(receiver)) {
			if receiver != "" {
				receiver += "."
			}
			missing(decl.Name, receiver)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if !spec.Name.IsExported() {
					continue
				}
				if decl.Doc == nil && spec.Doc == nil {
					missing(spec.Name, "")
				}
				f.undocumentedMethods(spec, missing)
			case *ast.ValueSpec:
				for _, name := range spec.Names {
					if name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
						missing(name, "")
					}
				}
			}
		}
	}
	return found
}

// undocumentedMethods reports the exported methods of an interface without a comment. A comment holds
// for the lines below it up to the next empty one. The fields of a struct belong to its own comment.
func (f goFile) undocumentedMethods(spec *ast.TypeSpec, missing func(*ast.Ident, string)) {
	iface, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return
	}
	lastDocumented := -1
	for _, method := range iface.Methods.List {
		if method.Doc != nil || f.line(method.Pos()) == lastDocumented+1 {
			lastDocumented = f.line(method.End())
			continue
		}
		for _, name := range method.Names {
			if name.IsExported() && method.Comment == nil {
				missing(name, spec.Name.Name+".")
			}
		}
	}
}

func receiverName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	expr := fn.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

package main_test

import (
	"go/ast"
	"go/token"
	"path"
	"strconv"
	"strings"
)

const astiavModule = "github.com/asticode/go-astiav"

// exportedUses lists the exported declarations of the file that mention the module in what a caller
// sees: signatures, exported fields, methods of interfaces, and the values that give variables their
// type.
func (f goFile) exportedUses(module string) []string {
	local := f.localName(module)
	if local == "" {
		return nil
	}
	var found []string
	report := func(name *ast.Ident, node ast.Node) {
		if mentions(node, local) {
			found = append(found, f.finding(name.Pos(), "%s is exported and mentions %s", name.Name, module))
		}
	}
	for _, decl := range f.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Name.IsExported() && (decl.Recv == nil || token.IsExported(receiverName(decl))) {
				report(decl.Name, decl.Type)
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() {
						report(spec.Name, visiblePart(spec))
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						if name.IsExported() {
							report(name, spec)
						}
					}
				}
			}
		}
	}
	return found
}

// localName is the name under which the file knows the module, or "".
func (f goFile) localName(module string) string {
	for _, spec := range f.syntax.Imports {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil || importPath != module && !strings.HasPrefix(importPath, module+"/") {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return strings.TrimPrefix(path.Base(importPath), "go-")
	}
	return ""
}

// visiblePart is what a caller sees of a type: of a struct its exported and embedded fields.
func visiblePart(spec *ast.TypeSpec) ast.Node {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return spec.Type
	}
	visible := &ast.FieldList{}
	for _, field := range structure.Fields.List {
		exported := len(field.Names) == 0
		for _, name := range field.Names {
			exported = exported || name.IsExported()
		}
		if exported {
			visible.List = append(visible.List, field)
		}
	}
	return visible
}

// mentions reports whether the node uses the import known as local; a dot import is seen as a use.
func mentions(node ast.Node, local string) bool {
	if local == "." {
		return true
	}
	found := false
	ast.Inspect(node, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && name.Name == local {
				found = true
			}
		}
		return !found
	})
	return found
}

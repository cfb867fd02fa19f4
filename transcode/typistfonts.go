package transcode

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/fontscan"
	"github.com/go-text/typesetting/language"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/gomedium"
)

// maxFaces is how many of the system's fonts one typist loads: a name of one letter from each script there
// is must not read every font of the system into memory.
const maxFaces = 24

// typeface is the embedded face of one weight, and where the characters come from that it lacks.
type typeface struct {
	embedded *font.Face
	system   *systemFaces
	bold     bool
}

// embeddedFaces reads the Go fonts, which hold Latin, Greek and Cyrillic.
func embeddedFaces() (regular, bold *font.Face, err error) {
	if regular, err = font.ParseTTF(bytes.NewReader(gomedium.TTF)); err != nil {
		return nil, nil, err
	}
	bold, err = font.ParseTTF(bytes.NewReader(gobold.TTF))
	return regular, bold, err
}

// resolve gives the face that has every character of a text, or nil; script helps to choose among several.
func (f *typeface) resolve(text []rune, script language.Script) *font.Face {
	emoji := isEmoji(text)
	if !emoji && hasAll(f.embedded, text) {
		return f.embedded
	}
	if face := f.system.resolve(text, script, f.bold, emoji); face != nil {
		return face
	}
	if emoji && hasAll(f.embedded, text) {
		return f.embedded
	}
	return nil
}

// hasAll tells whether a face can show every character of a text that is seen.
func hasAll(face *font.Face, text []rune) bool {
	for _, r := range text {
		if _, ok := face.NominalGlyph(r); !ok && !joins(r) {
			return false
		}
	}
	return true
}

// joins tells what only changes its neighbours, and needs no glyph.
func joins(r rune) bool {
	return r == ' ' || r == zwj || r == zwnj || r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef
}

// systemFaces finds fonts of the system. It looks for them when it is first asked: most names need none.
type systemFaces struct {
	looked bool
	fonts  *fontscan.FontMap
	faces  []*font.Face
}

// resolve gives a face of the system that has every character of a text, or nil.
func (s *systemFaces) resolve(text []rune, script language.Script, bold, emoji bool) *font.Face {
	if !s.looked {
		s.looked, s.fonts = true, openSystemFonts()
	}
	if s.fonts == nil {
		return nil
	}
	if len(s.faces) >= maxFaces {
		for _, face := range s.faces {
			if hasAll(face, text) {
				return face
			}
		}
		return nil
	}
	q := fontscan.Query{Families: []string{fontscan.SansSerif}, Aspect: font.Aspect{Weight: font.WeightNormal}}
	if bold {
		q.Aspect.Weight = font.WeightBold
	}
	if emoji {
		q.Families = []string{fontscan.Emoji, fontscan.SansSerif}
	}
	s.fonts.SetQuery(q)
	s.fonts.SetScript(script)
	for _, r := range text {
		if joins(r) {
			continue
		}
		face := s.fonts.ResolveFace(r)
		s.remember(face)
		if face != nil && hasAll(face, text) {
			return face
		}
		if len(s.faces) >= maxFaces {
			return nil
		}
	}
	return nil
}

func (s *systemFaces) remember(face *font.Face) {
	for _, f := range s.faces {
		if f == face {
			return
		}
	}
	if face != nil {
		s.faces = append(s.faces, face)
	}
}

// silent swallows what the font library would log; a font that cannot be read is one font less.
type silent struct{}

// Printf implements fontscan.Logger.
func (silent) Printf(string, ...any) {}

// openSystemFonts lists the fonts of the system, or gives nil where there are none. The list is made once for
// the process by the library, which also keeps it in a file for the next one; it fails when it cannot write
// that file, so a folder that takes it is found first.
func openSystemFonts() *fontscan.FontMap {
	dir, temporary := fontCache()
	if dir == "" {
		return nil
	}
	if temporary {
		defer os.RemoveAll(dir)
	}
	m := fontscan.NewFontMap(silent{})
	if err := m.UseSystemFonts(dir); err != nil {
		return nil
	}
	return m
}

// fontCache gives a folder that files can be made in: the user's cache, else a temporary one, else none.
func fontCache() (dir string, temporary bool) {
	if base, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(base, "rushes", "fonts")
		if os.MkdirAll(dir, 0o700) == nil {
			if f, err := os.CreateTemp(dir, ".try-*"); err == nil {
				f.Close()
				os.Remove(f.Name())
				return dir, false
			}
		}
	}
	dir, err := os.MkdirTemp("", "rushes-fonts-*")
	if err != nil {
		return "", false
	}
	return dir, true
}

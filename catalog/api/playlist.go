package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
)

// errPlaylist says that a playlist cannot be rewritten so that it plays.
var errPlaylist = errors.New("not a playlist that can be signed")

// rewritePlaylist returns the playlist (RFC 8216) with an address in place of
// every URI that names a file of its package: the lines that are URIs, and the
// quoted URI attribute of every tag (EXT-X-MAP, EXT-X-MEDIA,
// EXT-X-I-FRAME-STREAM-INF, EXT-X-IMAGE-STREAM-INF, EXT-X-KEY, ...). All other
// bytes stay as they are, byte ranges among them.
//
// The file at name, a path inside the package, is what text is; address returns
// the address of a file by its path inside the package and is asked once for
// each. URIs with a scheme or a host stay as they are and nothing is signed for
// them. One that leads out of the package, or says more than a path, is an
// error: nothing is served then.
func rewritePlaylist(text []byte, name string, address func(file string) (string, error)) ([]byte, error) {
	if first, _, _ := bytes.Cut(text, []byte("\n")); !bytes.Equal(bytes.TrimRight(first, "\r \t"), []byte("#EXTM3U")) {
		return nil, fmt.Errorf("it does not begin with #EXTM3U: %w", errPlaylist)
	}
	p := &playlistRewriter{folder: path.Dir(name), address: address, known: map[string]string{}}
	p.out.Grow(2 * len(text))
	for number := 1; len(text) > 0; number++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		ending := text[len(line) : len(text)-len(rest)]
		text = rest
		content := bytes.TrimRight(line, "\r")
		if err := p.line(string(content)); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		p.out.Write(line[len(content):])
		p.out.Write(ending)
	}
	return p.out.Bytes(), nil
}

type playlistRewriter struct {
	folder  string
	address func(file string) (string, error)
	known   map[string]string // by file
	out     bytes.Buffer
}

// line writes one line, without its ending.
func (p *playlistRewriter) line(line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		p.out.WriteString(line)
		return nil
	case strings.HasPrefix(line, "#"):
		return p.tag(line)
	}
	signed, err := p.sign(strings.TrimRight(line, " \t"))
	if err != nil {
		return err
	}
	p.out.WriteString(signed)
	return nil
}

// tag writes a tag or a comment.
func (p *playlistRewriter) tag(line string) error {
	start, end, found := uriAttribute(line)
	if !found {
		p.out.WriteString(line)
		return nil
	}
	signed, err := p.sign(line[start:end])
	if err != nil {
		return err
	}
	if strings.ContainsAny(signed, "\"\r\n") {
		return fmt.Errorf("an address that cannot stand in quotes: %w", errPlaylist)
	}
	p.out.WriteString(line[:start])
	p.out.WriteString(signed)
	p.out.WriteString(line[end:])
	return nil
}

// uriAttribute finds the value of the attribute URI, without its quotes, of a
// tag with an attribute list (RFC 8216 section 4.2). Tags with something else
// after their colon, as EXTINF, have none.
func uriAttribute(line string) (start, end int, found bool) {
	if !strings.HasPrefix(line, "#EXT") || strings.HasPrefix(line, "#EXTINF:") {
		return 0, 0, false
	}
	at := strings.IndexByte(line, ':') + 1
	if at == 0 {
		return 0, 0, false
	}
	for at < len(line) {
		equals := strings.IndexByte(line[at:], '=')
		if equals < 0 {
			return 0, 0, false
		}
		name := strings.TrimSpace(line[at : at+equals])
		if strings.ContainsAny(name, `,"`) {
			return 0, 0, false
		}
		at += equals + 1
		if at < len(line) && line[at] == '"' {
			at++
			length := strings.IndexByte(line[at:], '"')
			if length < 0 {
				return 0, 0, false
			}
			if name == "URI" {
				return at, at + length, true
			}
			at += length + 1
		}
		next := strings.IndexByte(line[at:], ',')
		if next < 0 {
			return 0, 0, false
		}
		at += next + 1
	}
	return 0, 0, false
}

// sign returns what is to stand in place of a URI.
func (p *playlistRewriter) sign(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		// The error would repeat it, and it has a line number.
		return "", fmt.Errorf("a URI that cannot be read: %w", errPlaylist)
	}
	if u.Scheme != "" || u.Host != "" {
		return uri, nil
	}
	file := path.Join(p.folder, u.Path)
	switch {
	case u.Path == "", u.Path[0] == '/', strings.HasSuffix(u.Path, "/"):
		return "", fmt.Errorf("URI %q names no file of the package: %w", uri, errPlaylist)
	case u.RawQuery != "" || u.ForceQuery || u.User != nil:
		return "", fmt.Errorf("URI %q says more than a path: %w", uri, errPlaylist)
	case file == "." || file == ".." || strings.HasPrefix(file, "../"), strings.ContainsAny(u.Path, "\\\x00"):
		return "", fmt.Errorf("URI %q leads out of the package: %w", uri, errPlaylist)
	case strings.Contains(uri, "{$"):
		return "", fmt.Errorf("URI %q has a variable: %w", uri, errPlaylist)
	}
	signed, ok := p.known[file]
	if !ok {
		if signed, err = p.address(file); err != nil {
			return "", fmt.Errorf("address of %q: %w", file, err)
		}
		if strings.ContainsAny(signed, "\r\n") {
			return "", fmt.Errorf("address of %q has more than one line: %w", file, errPlaylist)
		}
		p.known[file] = signed
	}
	if u.Fragment != "" {
		signed += "#" + u.EscapedFragment()
	}
	return signed, nil
}

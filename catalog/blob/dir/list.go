package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"rushes/catalog/blob"
)

// List gives the objects whose keys begin with prefix, in byte order.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := blob.CheckPrefix(prefix); err != nil {
			yield(blob.Info{}, fmt.Errorf("list: %w", err))
			return
		}
		folder := ""
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			folder = prefix[:i]
		}
		l := lister{store: s, prefix: prefix, yield: yield}
		if _, err := l.walk(ctx, folder); err != nil {
			yield(blob.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

type lister struct {
	store  *Store
	prefix string
	yield  func(blob.Info, error) bool
}

// walk gives what is in the folder ("" for the root) and below it. It reports
// false when the caller wants no more.
func (l *lister) walk(ctx context.Context, folder string) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	entries, err := fs.ReadDir(l.store.root.FS(), path.Join(".", folder))
	if errors.Is(missing(err), blob.ErrNotFound) {
		return true, nil // deleted meanwhile, or the prefix of nothing
	}
	if err != nil {
		return false, err
	}
	// "a-b" comes before "a/c", although the folder "a" comes before "a-b".
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		key := path.Join(folder, e.Name())
		if !l.wanted(key) {
			continue
		}
		if e.IsDir() {
			more, err = l.walk(ctx, key)
		} else {
			more, err = l.give(key, e)
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// wanted reports whether key, or a key below it, may begin with the prefix.
// Names that no key has, as that of the temporary files, are passed over.
func (l *lister) wanted(key string) bool {
	if blob.CheckKey(key) != nil {
		return false
	}
	return strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key+"/")
}

func (l *lister) give(key string, e fs.DirEntry) (more bool, err error) {
	if !e.Type().IsRegular() || !strings.HasPrefix(key, l.prefix) {
		return true, nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return l.yield(blob.Info{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil), nil
}

func sortName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

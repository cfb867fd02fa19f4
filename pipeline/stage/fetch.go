package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"rushes/catalog/blob"
	"rushes/pipeline"
	"rushes/pipeline/capture"
)

const (
	// DefaultFetchFiles is how many files a capture that is fetched may have.
	DefaultFetchFiles = 200_000
	// DefaultFetchBytes is how many bytes all files of such a capture may have together.
	DefaultFetchBytes = 1 << 40

	// mostManifest is how much of a manifest is read; capture.Parse refuses what is larger.
	mostManifest = 64<<20 + 1
	// fetchedSuffix is what the folder of a fetched capture has after that of the job's scratch folder. It lies beside
	// that one and not in it, because there the processes that touch media may write: a capture is never changed.
	fetchedSuffix = ".capture"
	// fetchers is how many files of a capture are fetched, or looked for, at a time.
	fetchers = 4
)

// Remote is where captures lie that are fetched; s3.Store is one. Its methods are those of blob.Store.
type Remote interface {
	// Get is that of blob.Store.
	Get(ctx context.Context, key string, r blob.Range) (io.ReadCloser, error)
	// Stat is that of blob.Store.
	Stat(ctx context.Context, key string) (blob.Info, error)
	// List is that of blob.Store.
	List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error]
	// Close gives back what Remote holds.
	Close() error
}

// Fetcher brings captures from S3 to this machine: "s3://bucket/prefix/" with capture.json in it, the address of a
// manifest of another name, or that of a single media object. It is safe for concurrent use.
type Fetcher struct {
	// Open opens a bucket. Required.
	Open func(ctx context.Context, bucket string) (Remote, error)
	// Disk says how much space must be free before a capture is brought to the folder that it names; one without a
	// Path asks for nothing.
	Disk pipeline.DiskRule
	// MostFiles and MostBytes bound a capture; zero means DefaultFetchFiles and DefaultFetchBytes.
	MostFiles int
	MostBytes int64
}

// SplitS3 takes an address "s3://bucket/key" apart; ok says that it is one. The key may be empty.
func SplitS3(uri string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, ok
}

// Fetch gives the path of the capture on this machine. What lies in S3 is brought into a folder beside the scratch
// folder, which the caller has locked: what is there already with the size and the time of the object is kept, so that
// an attempt goes on where the one before it was interrupted, file by file. An object that is not there is left out;
// who opens the capture writes that down as a defect.
func (f *Fetcher) Fetch(ctx context.Context, uri string, scratch *pipeline.Scratch) (file string, err error) {
	if _, _, remote := SplitS3(uri); !remote {
		return LocalPath(uri), nil
	}
	src, err := f.find(ctx, uri)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, src.store.Close()) }()
	names := []string{src.name}
	if src.manifest != nil {
		if names, err = src.names(ctx, f.mostFiles()); err != nil {
			return "", err
		}
	}
	folder := scratch.Path() + fetchedSuffix
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("fetch capture %s: %w", uri, err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", fmt.Errorf("fetch capture %s: %w", uri, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := f.fetchAll(ctx, src, root, names); err != nil {
		return "", fmt.Errorf("fetch capture %s: %w", uri, err)
	}
	return filepath.Join(folder, filepath.FromSlash(src.name)), nil
}

// Bring is Fetch for a capture that has no job yet: into a folder of its own below parent. The caller calls leave when
// the capture is not read any more; with done, what was brought is deleted, else the next call goes on with it.
func (f *Fetcher) Bring(ctx context.Context, parent, uri string, waiting func()) (file string, leaveIt func(done bool) error, err error) {
	name, err := pipeline.ContentKey("fetched capture", uri)
	if err != nil {
		return "", nil, err
	}
	// As long as a job's id, so that CleanScratch finds what nobody came back for.
	scratch, err := openScratch(ctx, parent, name[:24], waiting)
	if err != nil {
		return "", nil, fmt.Errorf("scratch folder of capture %s: %w", uri, err)
	}
	if file, err = f.Fetch(ctx, uri, scratch); err != nil {
		return "", nil, errors.Join(err, leave(scratch, pipeline.KindOf(err) == pipeline.KindBadInput))
	}
	return file, func(done bool) error { return leave(scratch, done) }, nil
}

func (f *Fetcher) mostFiles() int {
	if f.MostFiles > 0 {
		return f.MostFiles
	}
	return DefaultFetchFiles
}

func (f *Fetcher) mostBytes() int64 {
	if f.MostBytes > 0 {
		return f.MostBytes
	}
	return DefaultFetchBytes
}

// remoteCapture is a capture that was found in a bucket.
type remoteCapture struct {
	store    Remote
	uri      string
	folder   string // key prefix that names are relative to, with '/' at its end, or empty
	name     string // of the manifest or media object, relative to folder
	manifest []byte // nil for a media object
}

// find looks what lies at an address. The caller closes the store.
func (f *Fetcher) find(ctx context.Context, uri string) (_ *remoteCapture, err error) {
	bucket, key, _ := SplitS3(uri)
	refuse := func(reason string, err error) error {
		return &capture.InputError{File: uri, Reason: reason, Hint: "give s3://bucket/prefix/ with capture.json, a manifest (.json) or a media object", Err: err}
	}
	if bucket == "" {
		return nil, refuse("names no bucket", nil)
	}
	src := &remoteCapture{uri: uri}
	if src.store, err = f.Open(ctx, bucket); err != nil {
		return nil, fmt.Errorf("open capture %s: %w", uri, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, src.store.Close())
		}
	}()
	isFolder := key == "" || strings.HasSuffix(key, "/")
	key = strings.TrimSuffix(key, "/")
	if key != "" {
		if err := blob.CheckKey(key); err != nil {
			return nil, refuse("is not a usable address", err)
		}
	}
	media := false
	if !isFolder && !strings.EqualFold(path.Ext(key), ".json") {
		err := again(ctx, func() error { _, err := src.store.Stat(ctx, key); return err })
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, fmt.Errorf("look for capture %s: %w", uri, err)
		}
		media = err == nil
		isFolder = !media
	}
	if isFolder {
		key = path.Join(key, capture.ManifestName)
	}
	src.folder, src.name = path.Split(key)
	if media {
		return src, nil
	}
	if src.manifest, err = src.read(ctx, src.name, blob.Range{Length: mostManifest}); errors.Is(err, blob.ErrNotFound) {
		if isFolder {
			return nil, refuse("has no "+capture.ManifestName, errors.Join(fs.ErrNotExist, err))
		}
		return nil, refuse("does not exist", errors.Join(fs.ErrNotExist, err))
	}
	return src, err
}

// read reads a range of an object into memory.
func (s *remoteCapture) read(ctx context.Context, name string, part blob.Range) (data []byte, err error) {
	err = again(ctx, func() error {
		r, err := s.store.Get(ctx, s.folder+name, part)
		if err != nil {
			return err
		}
		data, err = io.ReadAll(r)
		return errors.Join(err, r.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", name, s.uri, err)
	}
	return data, nil
}

// names lists what the manifest needs, itself first. The segments of a live stream whose recorder kept no log of them
// are named by its playlist only: all that lies beside that is taken.
func (s *remoteCapture) names(ctx context.Context, most int) ([]string, error) {
	m, _, err := capture.Parse(s.uri, s.manifest)
	if err != nil {
		return nil, err
	}
	names, seen := []string{}, map[string]bool{}
	add := func(name string) error {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		if len(names) > most {
			return &capture.InputError{File: s.uri, Reason: fmt.Sprintf("has more than %d files", most)}
		}
		return nil
	}
	if err := add(s.name); err != nil {
		return nil, err
	}
	for name := range m.Paths() {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	for i := range m.Layers {
		l := &m.Layers[i]
		if l.Playlist == "" || len(l.Segments) > 0 {
			continue
		}
		beside, _ := path.Split(l.Playlist)
		for info, err := range s.store.List(ctx, s.folder+beside) {
			if err != nil {
				return nil, fmt.Errorf("look for the segments beside %s of %s: %w", l.Playlist, s.uri, err)
			}
			name := strings.TrimPrefix(info.Key, s.folder)
			if capture.CheckPath(name) != "" {
				continue
			}
			if err := add(name); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

// fetchAll brings the files into the folder, once it is known how much they are together.
func (f *Fetcher) fetchAll(ctx context.Context, src *remoteCapture, root *os.Root, names []string) error {
	infos := make([]*blob.Info, len(names))
	looks, lctx := errgroup.WithContext(ctx)
	looks.SetLimit(fetchers)
	for i, name := range names {
		looks.Go(func() (err error) {
			infos[i], err = src.stat(lctx, name)
			return err
		})
	}
	if err := looks.Wait(); err != nil {
		return err
	}
	var total int64
	for _, info := range infos {
		if info == nil {
			continue
		}
		if total += info.Size; info.Size < 0 || total < 0 || total > f.mostBytes() {
			return &capture.InputError{File: src.uri, Reason: fmt.Sprintf("has more than %d bytes", f.mostBytes())}
		}
	}
	if f.Disk.Path != "" {
		if err := f.Disk.Check(total); err != nil {
			return err
		}
	}
	pulls, pctx := errgroup.WithContext(ctx)
	pulls.SetLimit(fetchers)
	slots := make(chan int, fetchers)
	for n := range fetchers {
		slots <- n
	}
	for i, name := range names {
		pulls.Go(func() error {
			slot := <-slots
			defer func() { slots <- slot }()
			return src.pull(pctx, root, name, infos[i], fmt.Sprintf(".part-%d", slot))
		})
	}
	return pulls.Wait()
}

// stat describes an object; nil when there is none, or cannot be any under the name.
func (s *remoteCapture) stat(ctx context.Context, name string) (*blob.Info, error) {
	var info blob.Info
	err := again(ctx, func() (err error) {
		info, err = s.store.Stat(ctx, s.folder+name)
		return err
	})
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrInvalidKey) {
		return nil, nil //nolint:nilnil // nothing there
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	return &info, nil
}

// pull brings one object into the folder, unless it is there. part is a name that no file has: keys do not begin with
// a dot.
func (s *remoteCapture) pull(ctx context.Context, root *os.Root, name string, info *blob.Info, part string) error {
	if info == nil {
		return gone(root, name)
	}
	have, err := root.Lstat(name)
	if err == nil && have.Mode().IsRegular() && have.Size() == info.Size && have.ModTime().Equal(info.ModTime) {
		return nil
	}
	err = again(ctx, func() error { return s.copy(ctx, root, name, info.Size, part) })
	if errors.Is(err, blob.ErrNotFound) {
		return gone(root, name)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return clash(s.uri, name, err)
	}
	// The object's time, because a recording without a manifest begins at it, and one that grows is waited for.
	if err := root.Chtimes(part, info.ModTime, info.ModTime); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := root.Rename(part, name); err != nil {
		return clash(s.uri, name, err)
	}
	return nil
}

// copy brings the bytes of an object to the disk.
func (s *remoteCapture) copy(ctx context.Context, root *os.Root, name string, size int64, part string) (err error) {
	r, err := s.store.Get(ctx, s.folder+name, blob.Range{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	out, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes came where %d were announced: it is being written", n, size)
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// gone removes what an earlier attempt brought and is not in the store any more.
func gone(root *os.Root, name string) error {
	err := root.Remove(name)
	if info, serr := root.Lstat(name); serr != nil || info.IsDir() {
		return nil // not there, or the folder of other files
	}
	return err
}

// clash says that a name is the folder of another, where that is the error: S3 has both, a disk does not.
func clash(uri, name string, err error) error {
	if !slices.ContainsFunc([]error{syscall.ENOTDIR, syscall.EISDIR, syscall.EEXIST, syscall.ENOTEMPTY}, func(e error) bool { return errors.Is(err, e) }) {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	return &capture.InputError{File: uri, Field: name, Reason: "is a file and a folder at once", Err: err}
}

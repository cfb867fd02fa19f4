package api

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"rushes/catalog"
	"rushes/catalog/blob"
)

const (
	// playlistType is the media type of playlists (RFC 8216 section 4).
	playlistType = "application/vnd.apple.mpegurl"
	// maxPlaylist is the size in bytes of the largest playlist: two days of
	// segments of 4 s have less.
	maxPlaylist = 8 << 20
	// playlistAge is how long a player may keep a playlist, because the addresses
	// in it go when the asset is deleted.
	playlistAge = time.Minute
)

// playlist serves a playlist of a room-vod package with signed addresses.
func (a *API) playlist(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), a.config.RequestTime)
	defer cancel()
	link, ok := a.vod.open(r.PathValue("token"), r.PathValue("path"))
	if !ok {
		refuse(http.StatusForbidden, "forbidden", "the link is not valid").write(w)
		return
	}
	left := link.expires.Sub(a.config.Now())
	if left <= 0 {
		refuse(http.StatusForbidden, "forbidden", "the link is expired").write(w)
		return
	}
	text, err := a.signedPlaylist(ctx, link, left)
	if err != nil {
		answerOf(a.fail(ctx, err)).write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", playlistType)
	h.Set("Cache-Control", "private, max-age="+strconv.Itoa(int(min(left, playlistAge)/time.Second)))
	h.Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r) {
		h.Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text)
		return
	}
	// Signed addresses are long and alike.
	h.Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = z.Write(text)
	_ = z.Close()
}

func acceptsGzip(r *http.Request) bool {
	for _, value := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			name, weight, _ := strings.Cut(coding, ";")
			weight = strings.ReplaceAll(weight, " ", "")
			refused := strings.TrimRight(strings.TrimPrefix(weight, "q=0"), ".0") == "" && weight != ""
			if strings.EqualFold(strings.TrimSpace(name), "gzip") && !refused {
				return true
			}
		}
	}
	return false
}

// signedPlaylist reads the playlist that the link opens and rewrites it with
// addresses that end when the link does.
func (a *API) signedPlaylist(ctx context.Context, link vodLink, left time.Duration) ([]byte, error) {
	asset, err := a.config.Catalog.AssetByID(ctx, link.assetID)
	if err != nil {
		return nil, fmt.Errorf("asset of a playlist: %w", err)
	}
	if !isPackage(asset) || asset.Status != catalog.AssetCompleted {
		return nil, fmt.Errorf("asset %s is no package with playlists: %w", asset.ID, catalog.ErrNotFound)
	}
	folder := path.Dir(asset.Path)
	text, err := a.readPlaylist(ctx, folder+"/"+link.path)
	if err != nil {
		return nil, fmt.Errorf("playlist %s of asset %s: %w", link.path, asset.ID, err)
	}
	text, err = rewritePlaylist(text, link.path, func(file string) (string, error) {
		if isPlaylist(file) {
			return a.vodURL(asset.ID, file, link.expires)
		}
		key := folder + "/" + file
		if err := blob.CheckKey(key); err != nil {
			return "", err
		}
		return a.config.Presigner.PresignGet(ctx, key, min(left, blob.MaxPresign),
			blob.PresignOptions{ContentType: blob.MediaType(key), Inline: true})
	})
	if err != nil {
		return nil, fmt.Errorf("rewrite playlist %s of asset %s: %w", link.path, asset.ID, err)
	}
	return text, nil
}

func (a *API) readPlaylist(ctx context.Context, key string) (text []byte, err error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, errors.Join(blob.ErrNotFound, err)
	}
	body, err := a.config.Objects.Get(ctx, key, blob.Range{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	text, err = io.ReadAll(io.LimitReader(body, maxPlaylist+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if len(text) > maxPlaylist {
		return nil, fmt.Errorf("%s has more than %d bytes", key, maxPlaylist)
	}
	return text, nil
}

package api

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rushes/catalog"
	"rushes/catalog/blob"
)

// Link is an address of an asset's bytes.
type Link struct {
	ID   string `json:"id" doc:"Id of the asset"`
	Path string `json:"path" doc:"The asset's storage address"`
	URL  string `json:"url" doc:"Needs no token; of a room-vod, a playlist that plays"`
	// Expiry is in seconds, as 100ms has it.
	Expiry int64 `json:"expiry" doc:"How long the address is valid, in seconds"`
}

type linkInput struct {
	AssetID
	// Duration is in seconds: 60 s to 7 days, 3 days unless said otherwise.
	Duration int64 `query:"presign_duration" minimum:"60" maximum:"604800" default:"259200" doc:"How long the address is to be valid, in seconds"`
}

func (a *API) registerLinks(api huma.API) {
	register(a, api, operation(api, http.MethodGet, assetsPath+"/{id}/presigned-url", "get-presigned-url",
		"Get an address of an asset's bytes", assetsTag, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound), a.link)
	a.mux.HandleFunc("GET "+vodPath+"{token}/{path...}", a.playlist)
	responses := errorResponses(api, http.StatusForbidden, http.StatusNotFound,
		http.StatusInternalServerError, http.StatusServiceUnavailable)
	responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{playlistType: {}}}
	text := &huma.Schema{Type: huma.TypeString}
	api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "get-vod-playlist", Method: http.MethodGet, Path: vodPath + "{token}/{path}", Tags: []string{assetsTag},
		Summary: "A playlist of a room-vod with signed addresses; the path has slashes", Responses: responses,
		Parameters: []*huma.Param{
			{Name: "token", In: "path", Required: true, Schema: text},
			{Name: "path", In: "path", Required: true, Schema: text},
		},
	})
	if a.config.Files != nil {
		a.mux.HandleFunc("GET "+a.config.FilesPath, a.files)
	}
}

func (a *API) link(ctx context.Context, in *linkInput) (*reply[Link], error) {
	asset, err := a.ownAsset(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if asset.Status != catalog.AssetCompleted || asset.Path == "" {
		return nil, refuse(http.StatusNotFound, "recording asset has no file", "its status is "+string(asset.Status))
	}
	valid := time.Duration(in.Duration) * time.Second
	link := Link{ID: asset.ID, Path: asset.Path, Expiry: in.Duration}
	if isPackage(asset) {
		link.URL, err = a.PackageURL(asset.ID, asset.Path, valid)
	} else {
		link.URL, err = a.config.Presigner.PresignGet(ctx, asset.Path, valid, blob.PresignOptions{
			FileName: path.Base(asset.Path), ContentType: blob.MediaType(asset.Path),
			// An archive is to be saved, media may as well play.
			Inline: path.Ext(asset.Path) != ".zip",
		})
	}
	if err != nil {
		return nil, fmt.Errorf("link of asset %s: %w", asset.ID, err)
	}
	return &reply[Link]{Body: link}, nil
}

// isPackage reports whether the asset is a folder of files that begins with a
// playlist, rather than one file.
func isPackage(a catalog.Asset) bool { return a.Type == catalog.RoomVOD && isPlaylist(a.Path) }

// isPlaylist reports whether a file of that name is a playlist (RFC 8216
// section 4).
func isPlaylist(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".m3u8" || ext == ".m3u"
}

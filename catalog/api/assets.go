package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"rushes/catalog"
)

const (
	assetsPath = "/v2/recording-assets"
	assetsTag  = "Recording assets"
)

type assetsInput struct {
	PageQuery
	RoomID    string `query:"room_id" maxLength:"1024"`
	SessionID string `query:"session_id" maxLength:"1024"`
	Status    string `query:"status" enum:"processing,completed,failed"`
	Type      string `query:"type" enum:"room-composite,room-composite-legacy,room-vod,track,stream"`
}

// AssetID is the asset of a path. Inputs embed it; it is exported because huma
// looks at exported fields only.
type AssetID struct {
	// ID is 24 hex digits.
	ID string `path:"id" doc:"Id of the asset: 24 hex digits"`
}

type reprocessInput struct {
	AssetID
	IdempotencyHeader
	Body struct {
		_           struct{} `additionalProperties:"false"`
		Composition Object   `json:"composition,omitempty" doc:"The fields of outputs.composition (capture.md) that are to be other than before"`
	}
}

// IdempotencyHeader documents the header of every POST, which is read before
// huma sees the request.
type IdempotencyHeader struct {
	// IdempotencyKey names the request.
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Requests with the same key and the same content have one outcome, for 24 hours"`
}

func (a *API) registerAssets(api huma.API) {
	id := assetsPath + "/{id}"
	register(a, api, operation(api, http.MethodGet, assetsPath, "list-recording-assets", "List recording assets",
		assetsTag, http.StatusBadRequest, http.StatusForbidden), a.listAssets)
	register(a, api, operation(api, http.MethodGet, id, "get-recording-asset", "Get a recording asset",
		assetsTag, http.StatusForbidden, http.StatusNotFound), a.getAsset)
	register(a, api, operation(api, http.MethodDelete, id, "delete-recording-asset", "Delete a recording asset with its files",
		assetsTag, http.StatusForbidden, http.StatusNotFound, http.StatusConflict), a.deleteAsset)
	reprocess := operation(api, http.MethodPost, id+"/reprocess", "reprocess-recording-asset",
		"Make an asset again; the new one replaces it when it is finished", assetsTag, http.StatusForbidden, http.StatusNotFound)
	reprocess.DefaultStatus = http.StatusAccepted
	register(a, api, reprocess, a.reprocessAsset)
}

func (a *API) listAssets(ctx context.Context, in *assetsInput) (*reply[Page[catalog.AssetDocument]], error) {
	if err := a.checkRoom(ctx, in.RoomID); err != nil {
		return nil, err
	}
	if in.Start != "" {
		_, err := a.ownAsset(ctx, in.Start)
		if err = checkStart(in.Start, err); err != nil {
			return nil, err
		}
	}
	found, err := a.config.Catalog.ListAssetsOfApp(ctx, appOf(ctx), catalog.Filter{
		RoomID: in.RoomID, SessionID: in.SessionID,
		Type: catalog.AssetType(in.Type), Status: catalog.AssetStatus(in.Status),
		After: in.Start, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	return page(in.Limit, found, func(x catalog.Asset) string { return x.ID }, catalog.Asset.Document), nil
}

func (a *API) getAsset(ctx context.Context, in *AssetID) (*reply[catalog.AssetDocument], error) {
	asset, err := a.ownAsset(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &reply[catalog.AssetDocument]{Body: asset.Document()}, nil
}

func (a *API) deleteAsset(ctx context.Context, in *AssetID) (*struct{}, error) {
	if _, err := a.ownAsset(ctx, in.ID); err != nil {
		return nil, err
	}
	if err := a.config.Actions.DeleteAsset(ctx, in.ID); err != nil {
		return nil, fmt.Errorf("delete asset %s: %w", in.ID, err)
	}
	return nil, nil
}

func (a *API) reprocessAsset(ctx context.Context, in *reprocessInput) (*reply[JobDocument], error) {
	asset, err := a.ownAsset(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	job, err := a.config.Actions.Reprocess(ctx, Reprocess{
		AppID: appOf(ctx), Asset: asset, Composition: json.RawMessage(in.Body.Composition),
	})
	if err != nil {
		return nil, fmt.Errorf("reprocess asset %s: %w", in.ID, err)
	}
	return &reply[JobDocument]{Body: jobDocument(job)}, nil
}

package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// securityName is the name of the management token in the OpenAPI description.
const securityName = "management-token"

// reply is an answer with a body.
type reply[T any] struct{ Body T }

// routes registers everything at the mux and returns the OpenAPI description.
func (a *API) routes() ([]byte, error) {
	format := huma.Format{
		Marshal:   huma.DefaultJSONFormat.Marshal,
		Unmarshal: huma.DefaultJSONFormat.Unmarshal,
	}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Rushes catalog",
				Version:     a.config.Software,
				Description: "Recordings of video calls: assets, links, jobs. Paths, field names and types are those of 100ms' server API, version 2, where it has them.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{securityName: {
					Type: "http", Scheme: "bearer", BearerFormat: "JWT",
					Description: `HS256 with the app secret; claims access_key, type "management", version 2, jti, iat, nbf, exp.`,
				}},
			},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{inOurShape},
	}
	// Answers may grow fields, so clients are told to expect some; what is asked
	// for may not have any but those that are described.
	config.AllowAdditionalPropertiesByDefault = true
	api := huma.NewAPI(config, adapter{a})
	a.registerAssets(api)
	a.registerRecordings(api)
	a.registerJobs(api)
	a.registerService(api)
	a.registerLinks(api)
	schemas := api.OpenAPI().Components.Schemas.Map()
	// huma describes its own errors too, which never go out.
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	return json.MarshalIndent(api.OpenAPI(), "", "  ")
}

// operation describes an operation behind a management token. Errors are the
// statuses that it has beside those that all of them have.
func operation(api huma.API, method, path, id, summary, tag string, errors ...int) huma.Operation {
	statuses := append([]int{
		http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}, errors...)
	if method == http.MethodPost {
		statuses = append(statuses, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusConflict,
			http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{tag},
		Security:  []map[string][]string{{securityName: {}}},
		Responses: errorResponses(api, statuses...),
		// The guard has read and bounded the body already.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
}

func errorResponses(api huma.API, statuses ...int) map[string]*huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Error](), true, "Error")
	responses := make(map[string]*huma.Response, len(statuses)+1)
	for _, code := range statuses {
		responses[strconv.Itoa(code)] = &huma.Response{
			Description: http.StatusText(code),
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
	return responses
}

// register adds an operation whose handler's errors are answered in our shape.
func register[I, O any](a *API, api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
}

// Object is a JSON object that is handed on as it was written.
type Object json.RawMessage

var _ huma.SchemaProvider = Object{}

// Schema describes any object.
func (o Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON writes the object.
func (o Object) MarshalJSON() ([]byte, error) { return json.RawMessage(o).MarshalJSON() }

// UnmarshalJSON keeps the object; null is as good as none.
func (o *Object) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*o = nil
		return nil
	}
	return (*json.RawMessage)(o).UnmarshalJSON(data)
}

package glance

import (
	"encoding/json"
	"net/http"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
)

// The types of a task: one that was asked for by itself and makes its own image,
// and one that an image's import is.
const (
	importTask  = "import"
	imageImport = "api_image_import"
)

// taskType tells by the request that is kept with a task what asked for it.
func taskType(t cloud.ImageTask) string {
	if t.Request["type"] == importTask {
		return importTask
	}
	return imageImport
}

// taskInput is what an import task is told (glance/async_/flows/base_import.py).
type taskInput struct {
	From       string         `json:"import_from"`
	Format     string         `json:"import_from_format"`
	Properties map[string]any `json:"image_properties"`
}

// readTask reads the body of POST /v2/tasks.
func readTask(r *wire.Request) (in taskInput, body map[string]any, err error) {
	if err = r.Decode(&body); err != nil {
		return in, nil, err
	}
	kind, ok := body["type"].(string)
	switch {
	case !ok:
		return in, nil, invalid("Task type is required: it is '%s'.", importTask)
	case kind != importTask:
		return in, nil, invalid("Task type '%s' is not one that can be asked for here: '%s' is.", kind, importTask)
	}
	raw, err := json.Marshal(body["input"])
	if err != nil {
		return in, nil, err
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return in, nil, invalid("The task's input is not of the right types: %v", err)
	}
	for name, missing := range map[string]bool{"import_from": in.From == "", "import_from_format": in.Format == "", "image_properties": in.Properties == nil} {
		if missing {
			return in, nil, invalid("Input does not contain '%s' field", name)
		}
	}
	return in, body, nil
}

// createTask makes an image and the task that brings its bytes.
func (h handlers) createTask(r *wire.Request) (*wire.Response, error) {
	in, body, err := readTask(r)
	if err != nil {
		return nil, err
	}
	if _, ok := in.Properties["disk_format"]; !ok {
		in.Properties["disk_format"] = in.Format
	}
	if _, ok := in.Properties["container_format"]; !ok {
		in.Properties["container_format"] = "bare"
	}
	img, err := h.images.Create(r.Context(), r.Caller, in.Properties)
	if err != nil {
		return nil, err
	}
	task := cloud.ImageTask{Method: cloud.ImportWebDownload, URI: in.From, Request: body, RequestID: r.ID}
	if task, err = h.images.Import(r.Context(), r.Caller, img.ID, r.Header.Get("X-Auth-Token"), task); err != nil {
		_ = h.images.Delete(r.Context(), r.Caller, img.ID) // what the client is told is why there is no task
		return nil, err
	}
	resp := wire.Created(renderFullTask(task))
	resp.Header = http.Header{"Location": {r.Link("/v2/tasks/" + task.ID)}}
	return resp, nil
}

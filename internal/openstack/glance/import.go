package glance

import (
	"io"
	"maps"
	"mime"
	"net/url"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// importRoutes are the ways for an image to get its bytes by a task.
func (h handlers) importRoutes() []wire.Route {
	read := func(name string) wire.Policy { return wire.Allow(wire.Reader, name) }
	write := func(name string) wire.Policy { return wire.Allow(wire.Member, name) }
	admin := wire.Allow(wire.Admin, "tasks_api_access")
	anyone := func(name string) wire.Policy { return wire.Allow(wire.Anyone, name) }
	return []wire.Route{
		{Method: "PUT", Path: "/v2/images/{image}/stage", Policy: write("upload_image"), Handler: h.stage},
		{Method: "POST", Path: "/v2/images/{image}/import", Policy: write("modify_image"), Handler: h.importImage},
		{Method: "GET", Path: "/v2/images/{image}/tasks", Policy: read("get_image"), Handler: h.imageTasks},
		{Method: "GET", Path: "/v2/tasks", Policy: admin, Handler: h.tasks},
		{Method: "POST", Path: "/v2/tasks", Policy: admin, Handler: h.createTask},
		{Method: "GET", Path: "/v2/tasks/{task}", Policy: admin, Handler: h.task},
		{Method: "GET", Path: "/v2/schemas/task", Policy: anyone("get_schema"), Handler: schema(taskSchema)},
		{Method: "GET", Path: "/v2/schemas/tasks", Policy: anyone("get_schema"), Handler: schema(tasksSchema)},
		{Method: "GET", Path: "/v2/info/import", Policy: anyone("get_import_info"), Handler: h.importInfo},
	}
}

// importInfo says which ways to import there are.
func (h handlers) importInfo(*wire.Request) (*wire.Response, error) {
	return wire.JSON(wire.M{"import-methods": wire.M{"description": "Import methods available.", "type": "array", "value": h.images.ImportMethods()}}), nil
}

func (h handlers) stage(r *wire.Request) (*wire.Response, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != octets {
		return nil, cloud.E("glance.stage", cloud.MediaType, "The bytes of an image are sent as %s, not as %q.", octets, r.Header.Get("Content-Type"))
	}
	err := h.images.Stage(r.Context(), r.Caller, r.PathValue("image"), r.Body)
	if err != nil {
		_, _ = io.CopyN(io.Discard, r.Body, drainMost) // the answer is the error above
	}
	return done(err)
}

func badImport(format string, args ...any) error {
	return cloud.E("glance.import", cloud.Invalid, format, args...)
}

// readImport reads the body of an import.
func readImport(body map[string]any) (task cloud.ImageTask, err error) {
	method, ok := body["method"].(map[string]any)
	if !ok {
		return task, badImport("Import request requires a 'method' field.")
	}
	name, ok := method["name"].(string)
	if !ok {
		return task, badImport("Import request requires a 'name' field.")
	}
	for _, field := range []string{"all_stores", "all_stores_must_succeed"} {
		v, there := body[field]
		must, ok := v.(bool)
		switch {
		case there && !ok:
			return task, badImport("'%s' must be boolean value only", field)
		case there && field == "all_stores_must_succeed" && !must:
			return task, badImport("All_stores_must_succeed can only be set with several stores; here is one.")
		}
	}
	if stores, ok := body["stores"].([]any); ok && len(stores) > 0 {
		return task, badImport("There are no stores to choose from here: leave 'stores' out.")
	}
	format, ok := body["hearth_disk_format"].(string)
	if _, there := body["hearth_disk_format"]; there && !ok {
		return task, badImport("'hearth_disk_format' must be a string: the disk format that the image is converted to.")
	}
	mirrors, err := readMirrors(method)
	if err != nil {
		return task, err
	}
	uri, _ := method["uri"].(string)
	if name == cloud.ImportWebDownload && uri == "" {
		return task, badImport("The method web-download requires a 'uri'.")
	}
	task = cloud.ImageTask{Method: name, URI: uri, Mirrors: mirrors, Format: format, Request: body}
	if name == cloud.ImportGlanceDownload {
		task.Remote, err = remoteImage(method)
	}
	return task, err
}

// mirrorsMost is how many other addresses a download may have.
const mirrorsMost = 16

// readMirrors reads where else the bytes of a web-download are, which glance knows not.
func readMirrors(method map[string]any) (list []string, err error) {
	value, there := method["hearth_mirrors"]
	all, ok := value.([]any)
	if there && !ok || len(all) > mirrorsMost {
		return nil, badImport("'hearth_mirrors' must be a list of %d addresses at the most.", mirrorsMost)
	}
	for _, v := range all {
		uri, ok := v.(string)
		if !ok || uri == "" {
			return nil, badImport("'hearth_mirrors' must be a list of addresses.")
		}
		list = append(list, uri)
	}
	return list, nil
}

// remoteImage reads which image of another service is meant.
func remoteImage(method map[string]any) (*cloud.RemoteImage, error) {
	for _, field := range []string{"glance_region", "glance_image_id"} {
		if _, there := method[field]; !there {
			return nil, badImport("'%s' needs to be set for glance-download import method", field)
		}
	}
	said := func(field string) string { s, _ := method[field].(string); return s }
	of := cloud.RemoteImage{ID: said("glance_image_id"), Region: said("glance_region"), Interface: said("glance_service_interface")}
	if of.Interface == "" {
		of.Interface = "public"
	}
	if !cloud.IsID(of.ID) {
		return nil, badImport("Remote image id does not look like a UUID: %s", of.ID)
	}
	return &of, nil
}

func (h handlers) importImage(r *wire.Request) (*wire.Response, error) {
	var body map[string]any
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	task, err := readImport(body)
	if err != nil {
		return nil, err
	}
	task.RequestID = r.ID
	if _, err = h.images.Import(r.Context(), r.Caller, r.PathValue("image"), r.Header.Get("X-Auth-Token"), task); err != nil {
		return nil, err
	}
	return wire.Accepted(nil), nil
}

// renderTask is a task among others.
func renderTask(t cloud.ImageTask) wire.M {
	m := wire.M{
		"id": t.ID, "type": taskType(t), "status": t.Status, "owner": t.ProjectID, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.UpdatedAt),
		"self": "/v2/tasks/" + t.ID, "schema": "/v2/schemas/task",
	}
	if !t.ExpiresAt.IsZero() {
		m["expires_at"] = stamp(t.ExpiresAt)
	}
	return m
}

// renderFullTask is a task by itself.
func renderFullTask(t cloud.ImageTask) wire.M {
	m := renderTask(t)
	maps.Copy(m, wire.M{
		"input":  wire.M{"image_id": t.ImageID, "import_req": t.Request, "backend": []any{nil}},
		"result": nil, "message": t.Message, "image_id": t.ImageID, "user_id": t.UserID, "request_id": t.RequestID,
	})
	if input, ok := t.Request["input"]; ok && taskType(t) == importTask {
		m["input"] = input
	}
	if t.Method == cloud.ImportWebDownload || t.Done > 0 {
		m["hearth_bytes"], m["hearth_bytes_total"] = t.Done, t.Total
	}
	if t.Status == cloud.TaskSuccess {
		m["result"] = wire.M{"image_id": t.ImageID}
	}
	return m
}

func (h handlers) imageTasks(r *wire.Request) (*wire.Response, error) {
	tasks, err := h.images.ImageTasks(r.Context(), r.Caller, r.PathValue("image"))
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(tasks))
	for i, t := range tasks {
		list[i] = renderFullTask(t)
		delete(list[i], "self")
		delete(list[i], "schema")
	}
	return wire.JSON(wire.M{"tasks": list}), nil
}

func (h handlers) tasks(r *wire.Request) (*wire.Response, error) {
	q := r.URL.Query()
	page, err := wire.ParsePage(url.Values{"limit": q["limit"], "marker": q["marker"]}, pageMost)
	if err != nil {
		return nil, err
	}
	f := image.TaskFilter{Status: q.Get("status"), OldestFirst: q.Get("sort_dir") == "asc", Marker: page.Marker, Limit: page.Limit}
	if q.Get("limit") == "" {
		f.Limit = pageSize
	}
	if f.Status != "" && !slices.Contains([]string{"pending", "processing", "success", "failure"}, f.Status) {
		return nil, invalid("Invalid status value: %s", f.Status)
	}
	tasks, more, err := h.images.Tasks(r.Context(), f)
	if err != nil {
		return nil, err
	}
	list := make([]wire.M, len(tasks))
	for i, t := range tasks {
		list[i] = renderTask(t)
	}
	q.Del("marker")
	body := wire.M{"tasks": list, "schema": "/v2/schemas/tasks", "first": withQuery("/v2/tasks", q)}
	if more {
		q.Set("marker", tasks[len(tasks)-1].ID)
		body["next"] = withQuery("/v2/tasks", q)
	}
	return wire.JSON(body), nil
}

func (h handlers) task(r *wire.Request) (*wire.Response, error) {
	t, err := h.images.Task(r.Context(), r.PathValue("task"))
	if err != nil {
		return nil, err
	}
	return wire.JSON(renderFullTask(t)), nil
}

func taskSchema() wire.M {
	plain := func(description string) wire.M { return field("string", description, nil) }
	return wire.M{"name": "task", "properties": wire.M{
		"id":     field("string", "An identifier for the task", wire.M{"pattern": uuidPattern}),
		"type":   field("string", "The type of task represented by this content", wire.M{"enum": []string{importTask, imageImport}}),
		"status": field("string", "The current status of this task", wire.M{"enum": []string{"pending", "processing", "success", "failure"}}),
		"input":  field([]string{"null", "object"}, "The parameters required by task, JSON blob", nil),
		"result": field([]string{"null", "object"}, "The result of current task, JSON blob", nil),
		"owner":  plain("An identifier for the owner of this task"), "message": plain("Human-readable informative message only included when appropriate (usually on failure)"),
		"image_id": plain("Image associated with the task"), "request_id": plain("Human-readable informative request-id"), "user_id": plain("User associated with the task"),
		"expires_at": field([]string{"null", "string"}, "Datetime when this resource would be subject to removal", nil),
		"created_at": plain("Datetime when this resource was created"), "updated_at": plain("Datetime when this resource was updated"),
		"self": wire.M{"type": "string"}, "schema": wire.M{"type": "string"},
	}}
}

func tasksSchema() wire.M {
	m := collection("tasks", taskSchema)()
	delete(m, "definitions")
	return m
}

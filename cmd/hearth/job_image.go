package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/tasks"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// imageJob is one that gave an image its bytes, as Hearth's glance tells it.
type imageJob struct {
	ID        string  `json:"id"`
	Method    string  `json:"method"`
	RequestID string  `json:"request_id"`
	Status    string  `json:"status"`
	Message   string  `json:"message"`
	Start     string  `json:"start_time"`
	Events    []event `json:"events"`
}

// imageJobs tells those of an image, by its name or id or the id of a task; done is
// false where there is no such image.
func imageJobs(ctx context.Context, cfg *config.Config, provider *gophercloud.ProviderClient, w io.Writer, name, request, level string) (done bool, err error) {
	glance, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: regionOf(cfg)})
	if err != nil {
		return false, err
	}
	id, task, err := imageOfJob(ctx, glance, name)
	if id == "" || err != nil {
		return false, err
	}
	var all struct{ Jobs []imageJob }
	if _, err := glance.Get(ctx, glance.ServiceURL("images", id, "hearth_log"), &all, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}); err != nil { //nolint:bodyclose // the answer is read and closed
		return true, refusal(err)
	}
	found := false
	for _, j := range all.Jobs {
		if request != "" && j.RequestID != request || task != "" && j.ID != task {
			continue
		}
		found = true
		fmt.Fprintf(w, "%s %s %s %s %s\n", j.Start, j.Method, j.ID, j.Status, j.Message)
		printEvents(w, j.Events, level)
	}
	if !found && (request != "" || task != "") {
		return true, fmt.Errorf("image %s has no finished job %s%s among its last four", id, task, request)
	}
	return true, nil
}

// imageOfJob finds the image that is meant; "" for none. task is not "" where its id was
// given.
func imageOfJob(ctx context.Context, glance *gophercloud.ServiceClient, name string) (id, task string, err error) {
	if cloud.IsID(name) {
		if i, err := images.Get(ctx, glance, name).Extract(); err == nil {
			return i.ID, "", nil
		}
		if t, err := tasks.Get(ctx, glance, name).Extract(); err == nil {
			if id, _ := t.Input["image_id"].(string); id != "" {
				return id, t.ID, nil
			}
		}
		return "", "", nil
	}
	image, err := imageNamed(ctx, glance, name)
	if none := (noneError{}); errors.As(err, &none) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	return image.ID, "", nil
}

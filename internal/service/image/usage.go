package image

import (
	"context"
	"fmt"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Usage is how much of a quota a project uses. Limit is -1 where nobody set one.
type Usage struct {
	Name        string
	Used, Limit int64
}

// The quotas of a project's images, by glance's names. Sizes are in MiB. Their limits
// are keystone's: registered for the image service, and of projects (limits of
// domains are of no use here).
const (
	quotaSize      = "image_size_total"
	quotaStage     = "image_stage_total"
	quotaCount     = "image_count_total"
	quotaUploading = "image_count_uploading"
)

var quotas = []string{quotaSize, quotaStage, quotaCount, quotaUploading}

// Usage counts what the caller's project has, for each quota.
func (s *Service) Usage(ctx context.Context, caller cloud.Caller) (list []Usage, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = usageOf(tx, caller.ProjectID, quotas...)
		return err
	})
	return list, err
}

// usageOf counts from what there is, each time: a kept number would go wrong.
func usageOf(tx *store.Tx, project string, names ...string) ([]Usage, error) {
	images, err := tx.Images.List(store.Where(store.Eq("project_id", project)))
	if err != nil {
		return nil, err
	}
	var size, stage, uploading int64
	for _, img := range images {
		switch img.Status {
		case cloud.ImageUploading, cloud.ImageImporting:
			uploading++
			stage += max(0, img.Size)
		case cloud.ImageSaving:
			uploading++
		default:
			size += max(0, img.Size)
		}
	}
	used := map[string]int64{quotaSize: size >> 20, quotaStage: stage >> 20, quotaCount: int64(len(images)), quotaUploading: uploading}
	limits, err := limitsOf(tx, project)
	if err != nil {
		return nil, err
	}
	list := make([]Usage, len(names))
	for i, name := range names {
		list[i] = Usage{Name: name, Used: used[name], Limit: -1}
		if limit, ok := limits[name]; ok {
			list[i].Limit = limit
		}
	}
	return list, nil
}

// limitsOf are the limits that a project has, or that all have.
func limitsOf(tx *store.Tx, project string) (map[string]int64, error) {
	limits := map[string]int64{}
	all, err := tx.RegisteredLimits.List(store.Query{})
	if err != nil || len(all) == 0 {
		return limits, err
	}
	for _, r := range all {
		service, err := tx.CatalogServices.Get(r.ServiceID)
		if cloud.Is(err, cloud.NotFound) || err == nil && service.Type != "image" {
			continue
		}
		if err != nil {
			return nil, err
		}
		limits[r.ResourceName] = int64(r.DefaultLimit)
		own, err := tx.Limits.Find(store.Eq("project_id", project), store.Eq("registered_limit_id", r.ID))
		switch {
		case err == nil:
			limits[r.ResourceName] = int64(own.ResourceLimit)
		case !cloud.Is(err, cloud.NotFound):
			return nil, err
		}
	}
	return limits, nil
}

// afford refuses what would take a project past a quota: more is how many images it
// adds to each count. Sizes are looked at as glance does, which lets an upload that
// began within the limit end beyond it. TooLarge.
func afford(tx *store.Tx, project string, more map[string]int64) error {
	limits, err := limitsOf(tx, project)
	if err != nil || len(limits) == 0 {
		return err // the usual case is quick
	}
	list, err := usageOf(tx, project, quotas...)
	if err != nil {
		return err
	}
	var over []string
	for _, u := range list {
		if delta, asked := more[u.Name]; asked && u.Limit >= 0 && u.Used+delta > u.Limit {
			over = append(over, fmt.Sprintf("Resource %s is over limit of %d due to current usage %d and delta %d", u.Name, u.Limit, u.Used, delta))
		}
	}
	if len(over) > 0 {
		return cloud.E("image.quota", cloud.TooLarge, "Project %s is over a limit for [%s]", project, strings.Join(over, ", "))
	}
	return nil
}

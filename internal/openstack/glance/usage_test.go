package glance_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

// limited is a service whose keystone has limits for images; those of the project
// "rich" are its own.
func limited(t *testing.T) wire.API {
	t.Helper()
	st, err := store.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	err = st.Update(t.Context(), func(tx *store.Tx) error {
		for _, s := range []cloud.CatalogService{{ID: "i", Type: "image", Name: "glance"}, {ID: "c", Type: "compute", Name: "nova"}} {
			if err := tx.CatalogServices.Insert(s); err != nil {
				return err
			}
		}
		for _, l := range []cloud.RegisteredLimit{{ID: "1", ServiceID: "i", ResourceName: "image_count_total", DefaultLimit: 2}, {ID: "2", ServiceID: "i", ResourceName: "image_size_total", DefaultLimit: 1},
			{ID: "3", ServiceID: "i", ResourceName: "image_count_uploading", DefaultLimit: 1}, {ID: "4", ServiceID: "c", ResourceName: "image_stage_total", DefaultLimit: 7}} {
			if err := tx.RegisteredLimits.Insert(l); err != nil {
				return err
			}
		}
		return tx.Limits.Insert(cloud.Limit{ID: "5", ProjectID: "rich", RegisteredLimitID: "1", ResourceLimit: 9})
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	return glance.API(image.New(st, cloud.NewFakeClock(), blobs, image.Options{}))
}

func TestUsage(t *testing.T) {
	all := wiretest.New(t, limited(t))
	c := all.As(wiretest.Member("p1"))
	usage := func(c *wiretest.Client, want string) {
		t.Helper()
		if got := strings.TrimSpace(string(c.Do("GET", "/image/v2/info/usage", nil).Want(t, 200).Body)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	usage(c, `{"usage":{"image_count_total":{"limit":2,"usage":0},"image_count_uploading":{"limit":1,"usage":0},"image_size_total":{"limit":1,"usage":0},"image_stage_total":{"limit":-1,"usage":0}}}`)
	one, two := create(t, c, nil), create(t, c, nil)
	r := c.Do("POST", "/image/v2/images", wire.M{"name": "third"}).Want(t, 413)
	if !strings.Contains(string(r.Body), "Resource image_count_total is over limit of 2 due to current usage 2 and delta 1") {
		t.Errorf("%s", r.Body)
	}
	upload(t, c, one, make([]byte, 2<<20)).Want(t, 204)
	upload(t, c, two, make([]byte, 1)).Want(t, 413) // two MiB are there of one
	c.With("Content-Type", "application/octet-stream").Do("PUT", "/image/v2/images/"+two+"/stage", make([]byte, 3<<20)).Want(t, 204)
	usage(c, `{"usage":{"image_count_total":{"limit":2,"usage":2},"image_count_uploading":{"limit":1,"usage":1},"image_size_total":{"limit":1,"usage":2},"image_stage_total":{"limit":-1,"usage":3}}}`)
	c.Do("DELETE", "/image/v2/images/"+one, nil).Want(t, 204)
	three := create(t, c, nil)
	upload(t, c, three, make([]byte, 1)).Want(t, 413) // one is being uploaded
	usage(all.As(wiretest.Member("rich")), `{"usage":{"image_count_total":{"limit":9,"usage":0},"image_count_uploading":{"limit":1,"usage":0},"image_size_total":{"limit":1,"usage":0},"image_stage_total":{"limit":-1,"usage":0}}}`)
	c.Do("GET", "/image/v2/info/stores/detail", nil).Want(t, 403)
	all.As(wiretest.Admin("p1")).Do("GET", "/image/v2/info/stores/detail", nil).Want(t, 404)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"hearth/internal/cloud"
)

// projectOf is the id of the project that a client works in. An admin sees what all projects
// have: whoever looks for what is there already by a name has to say of which.
func projectOf(client *gophercloud.ServiceClient) (string, error) {
	if result, ok := client.GetAuthResult().(tokens.CreateResult); ok {
		if project, err := result.ExtractProject(); err == nil && project != nil && project.ID != "" {
			return project.ID, nil
		}
	}
	return "", errors.New("the login is for no project: say by OS_PROJECT_NAME into which is imported")
}

// imageNamed finds an image by its id or its name, a hidden one if no other has the name.
func imageNamed(ctx context.Context, glance *gophercloud.ServiceClient, name string) (*images.Image, error) {
	if cloud.IsID(name) {
		image, err := images.Get(ctx, glance, name).Extract()
		if err == nil || !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return image, refusal(err)
		}
	}
	var found []images.Image
	for _, hidden := range []bool{false, true} {
		pages, err := images.List(glance, images.ListOpts{Name: name, Hidden: hidden}).AllPages(ctx)
		if err != nil {
			return nil, refusal(err)
		}
		if found, err = images.ExtractImages(pages); err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(i images.Image) bool { return i.Name != name }) // glance takes "in:a,b" for two names
		if len(found) > 0 {
			break
		}
	}
	return the(found, "image", name, func(i images.Image) string { return i.ID + " (" + string(i.Status) + ")" })
}

// noneError says that nothing has a name.
type noneError struct{ kind, name string }

func (e noneError) Error() string {
	return fmt.Sprintf("there is no %[1]s %[2]s: 'openstack %[1]s list' shows those that are", e.kind, e.name)
}

// the is the one thing that a name is of. An error tells those that it could be of, each as
// describe has it: with its id.
func the[T any](list []T, kind, name string, describe func(T) string) (*T, error) {
	switch len(list) {
	case 0:
		return nil, noneError{kind, name}
	case 1:
		return &list[0], nil
	}
	var each []string
	for _, one := range list {
		each = append(each, describe(one))
	}
	return nil, fmt.Errorf("%d %ss are called %s: %s; give the id of one", len(list), kind, name, strings.Join(each, ", "))
}

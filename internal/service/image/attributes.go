package image

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"hearth/internal/cloud"
)

// What of an image nobody may set (glance/api/v2/images.py).
var (
	readOnly = []string{
		"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema", "id",
		"os_hash_algo", "os_hash_value", "stores",
	}
	reserved = []string{"location", "deleted", "deleted_at"}
	base     = []string{"name", "container_format", "disk_format", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "tags", "owner"}
)

// settable refuses the names that are not the caller's to set; Forbidden.
func settable(name string) error {
	const op = "image.set"
	switch {
	case slices.Contains(readOnly, name):
		return cloud.E(op, cloud.Forbidden, "Attribute '%s' is read-only.", name)
	case slices.Contains(reserved, name), strings.HasPrefix(name, "os_glance_"):
		return cloud.E(op, cloud.Forbidden, "Attribute '%s' is reserved.", name)
	case name == "locations":
		return cloud.E(op, cloud.Forbidden, "It's not allowed to update locations if locations are invisible.")
	}
	return nil
}

// mismatch is the error for a value that an attribute cannot have.
func mismatch(value any, why string) error {
	return cloud.E("image.set", cloud.Invalid, "Provided object does not match schema 'image': %v %s", value, why)
}

// set gives an attribute a value as JSON has it: string, float64, bool, nil or
// []any. What is no attribute is a property. Invalid.
func set(img *cloud.Image, name string, value any) (err error) {
	switch name {
	case "name":
		return setText(&img.Name, value, 255, nil, true)
	case "container_format":
		return setText(&img.ContainerFormat, value, 255, ContainerFormats, true)
	case "disk_format":
		return setText(&img.DiskFormat, value, 255, DiskFormats, true)
	case "owner":
		return setText(&img.ProjectID, value, 255, nil, false)
	case "visibility":
		return setText((*string)(&img.Visibility), value, 255, []string{"community", "public", "private", "shared"}, false)
	case "protected":
		return setBool(&img.Protected, value)
	case "os_hidden":
		return setBool(&img.Hidden, value)
	case "min_disk":
		return setInt(&img.MinDiskGB, value)
	case "min_ram":
		return setInt(&img.MinRAMMB, value)
	case "tags":
		img.Tags, err = tagList(value)
		return err
	}
	return setProperty(img, name, value)
}

func setText(field *string, value any, most int, words []string, null bool) error {
	text, ok := value.(string)
	switch {
	case value == nil && null:
		*field = ""
		return nil
	case !ok:
		return mismatch(value, "is not of type 'string'")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return mismatch("the value", "is not text")
	case utf8.RuneCountInString(text) > most:
		return mismatch("'"+text[:32]+"…'", "is too long")
	case words != nil && !slices.Contains(words, text):
		return mismatch("'"+text+"'", "is not one of ["+strings.Join(words, ", ")+"]")
	}
	*field = text
	return nil
}

func setBool(field *bool, value any) error {
	v, ok := value.(bool)
	if !ok {
		return mismatch(value, "is not of type 'boolean'")
	}
	*field = v
	return nil
}

func setInt(field *int, value any) error {
	v, ok := value.(float64)
	switch {
	case !ok || v != math.Trunc(v):
		return mismatch(value, "is not of type 'integer'")
	case v < 0:
		return mismatch(value, "is less than the minimum of 0")
	case v > math.MaxInt32:
		return mismatch(value, "is greater than the maximum of 2147483647")
	}
	*field = int(v)
	return nil
}

func tagList(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, mismatch(value, "is not of type 'array'")
	}
	tags := []string{}
	for _, v := range list {
		var tag string
		if err := setText(&tag, v, 255, nil, false); err != nil {
			return nil, err
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

func setProperty(img *cloud.Image, name string, value any) error {
	if name == "" || utf8.RuneCountInString(name) > 255 || !utf8.ValidString(name) {
		return mismatch("a property's name", "must have 1 to 255 characters")
	}
	var text string
	if err := setText(&text, value, 65535, nil, false); err != nil {
		return err
	}
	if img.Properties == nil {
		img.Properties = map[string]string{}
	}
	img.Properties[name] = text
	return nil
}

// within holds an image against the limits of properties and tags; TooLarge.
func (s *Service) within(img cloud.Image) error {
	const op = "image.limits"
	if n := len(img.Properties); n > s.opts.MaxProperties {
		return cloud.E(op, cloud.TooLarge, "The limit has been exceeded on the number of allowed image properties. Attempted: %d, Maximum: %d", n, s.opts.MaxProperties)
	}
	if n := len(img.Tags); n > s.opts.MaxTags {
		return cloud.E(op, cloud.TooLarge, "The limit has been exceeded on the number of allowed image tags. Attempted: %d, Maximum: %d", n, s.opts.MaxTags)
	}
	return nil
}

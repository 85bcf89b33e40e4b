package glance

import (
	"hearth/internal/openstack/wire"
	"hearth/internal/service/image"
)

// The JSON schemas, which clients read to know what an image may have:
// glanceclient makes its options of them (glance/api/v2/images.py,
// get_base_properties).

func schema(of func() wire.M) wire.Handler {
	return func(*wire.Request) (*wire.Response, error) { return wire.JSON(of()), nil }
}

// uuidPattern is that of an image's id.
const uuidPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

func field(typ any, description string, more wire.M) wire.M {
	m := wire.M{"type": typ, "description": description}
	for k, v := range more {
		m[k] = v
	}
	return m
}

var (
	nullable = []string{"null", "string"}
	fixed    = wire.M{"readOnly": true}
)

// words is an enumeration that allows null.
func words(list []string) wire.M {
	enum := []any{nil}
	for _, w := range list {
		enum = append(enum, w)
	}
	return wire.M{"enum": enum}
}

func sized(most int, more wire.M) wire.M {
	m := wire.M{"maxLength": most}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func imageProperties() wire.M {
	return wire.M{
		"id":               field("string", "An identifier for the image", wire.M{"pattern": uuidPattern}),
		"name":             field(nullable, "Descriptive name for the image", sized(255, nil)),
		"status":           field("string", "Status of the image", wire.M{"readOnly": true, "enum": []string{"queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"}}),
		"visibility":       field("string", "Scope of image accessibility", wire.M{"enum": []string{"community", "public", "private", "shared"}}),
		"protected":        field("boolean", "If true, image will not be deletable.", nil),
		"os_hidden":        field("boolean", "If true, image will not appear in default image list response.", nil),
		"checksum":         field(nullable, "md5 hash of image contents.", sized(32, fixed)),
		"os_hash_algo":     field(nullable, "Algorithm to calculate the os_hash_value", sized(64, fixed)),
		"os_hash_value":    field(nullable, "Hexdigest of the image contents using the algorithm specified by the os_hash_algo", sized(128, fixed)),
		"owner":            field(nullable, "Owner of the image", sized(255, nil)),
		"size":             field([]string{"null", "integer"}, "Size of image file in bytes", fixed),
		"virtual_size":     field([]string{"null", "integer"}, "Virtual size of image in bytes", fixed),
		"container_format": field(nullable, "Format of the container", words(image.ContainerFormats)),
		"disk_format":      field(nullable, "Format of the disk", words(image.DiskFormats)),
		"created_at":       field("string", "Date and time of image registration", fixed),
		"updated_at":       field("string", "Date and time of the last image modification", fixed),
		"tags":             field("array", "List of strings related to the image", wire.M{"items": wire.M{"type": "string", "maxLength": 255}}),
		"direct_url":       field("string", "URL to access the image file kept in external store", fixed),
		"min_ram":          field("integer", "Amount of ram (in MB) required to boot image.", nil),
		"min_disk":         field("integer", "Amount of disk space (in GB) required to boot image.", nil),
		"self":             field("string", "An image self url", fixed),
		"file":             field("string", "An image file url", fixed),
		"schema":           field("string", "An image schema url", fixed),
		"kernel_id":        field(nullable, "ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.", wire.M{"pattern": uuidPattern, "is_base": false}),
		"ramdisk_id":       field(nullable, "ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.", wire.M{"pattern": uuidPattern, "is_base": false}),
		"instance_uuid":    field("string", "Metadata which can be used to record which instance this image is associated with. (Informational only, does not create an instance snapshot.)", wire.M{"is_base": false}),
		"architecture":     field("string", "Operating system architecture as specified in https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html", wire.M{"is_base": false}),
		"os_distro":        field("string", "Common name of operating system distribution as specified in https://docs.openstack.org/python-glanceclient/latest/cli/property-keys.html", wire.M{"is_base": false}),
		"os_version":       field("string", "Operating system version as specified by the distributor.", wire.M{"is_base": false}),
	}
}

func imageSchema() wire.M {
	return wire.M{
		"name": "image", "properties": imageProperties(), "additionalProperties": wire.M{"type": "string"},
		"links": []wire.M{{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"}, {"rel": "describedby", "href": "{schema}"}},
	}
}

func imagesSchema() wire.M {
	return wire.M{
		"name": "images",
		"properties": wire.M{
			"images": wire.M{"type": "array", "items": imageSchema()}, "schema": wire.M{"type": "string"},
			"first": wire.M{"type": "string"}, "next": wire.M{"type": "string"},
		},
		"links": []wire.M{{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"}},
	}
}

func memberSchema() wire.M {
	return wire.M{"name": "member", "properties": wire.M{
		"member_id":  field("string", "An identifier for the image member (tenantId)", nil),
		"image_id":   field("string", "An identifier for the image", wire.M{"pattern": uuidPattern}),
		"created_at": field("string", "Date and time of image member creation", nil),
		"updated_at": field("string", "Date and time of last modification of image member", nil),
		"status":     field("string", "The status of this image member", wire.M{"enum": []string{"pending", "accepted", "rejected"}}),
		"schema":     wire.M{"readOnly": true, "type": "string"},
	}}
}

func membersSchema() wire.M {
	return wire.M{
		"name":       "members",
		"properties": wire.M{"members": wire.M{"type": "array", "items": memberSchema()}, "schema": wire.M{"type": "string"}},
		"links":      []wire.M{{"rel": "describedby", "href": "{schema}"}},
	}
}

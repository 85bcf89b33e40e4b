package main

import "testing"

func TestFaultMessage(t *testing.T) {
	for body, want := range map[string]string{
		`{"itemNotFound": {"code": 404, "message": "Instance x could not be found."}}`:                                                           "Instance x could not be found.",
		`{"code":"404 Not Found","message":"No image found with ID &quot;x&quot;<br /><br />\n\n\n","title":"Not Found"}`:                        `No image found with ID "x"`,
		"400 Bad Request\n\nThe image was refused: the image was named raw, but its bytes are vdi; upload it again with disk_format vdi.\n\n   ": "The image was refused: the image was named raw, but its bytes are vdi; upload it again with disk_format vdi.",
		"no words of the cloud": "the cloud answered: no words of the cloud",
		`{"message": ""}`:       `the cloud answered: {"message": ""}`,
		`[1]`:                   "the cloud answered: [1]",
	} {
		if got := faultMessage([]byte(body)); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

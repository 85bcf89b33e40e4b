package image_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

func vouchData(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../disk/verify/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// signedImport is an import whose method says who vouches for the bytes.
func signedImport(method, signature, key string) cloud.ImageTask {
	said := map[string]any{"name": method, image.WordSignature: signature}
	if key != "" {
		said[image.WordKey] = key
	}
	return cloud.ImageTask{Method: method, URI: "http://images.test/image", Request: map[string]any{"method": said}}
}

func TestSignedImports(t *testing.T) {
	data := []byte(vouchData(t, "image"))
	corrupt := bytes.Clone(data)
	corrupt[2000] ^= 1
	for _, c := range []struct {
		name, signature, key string
		corrupt              bool
		status               cloud.ImageTaskStatus
		says                 string
	}{
		{"OpenPGP", "image.asc", "images.asc", false, cloud.TaskSuccess, "signed by OpenPGP key"},
		{"minisign", "image.minisig", "minisign.pub", false, cloud.TaskSuccess, "signed by minisign key"},
		{"the operator's keys", "image.asc", "", false, cloud.TaskSuccess, "Images of Test"},
		{"another's key", "image.asc", "minisign.pub", false, cloud.TaskFailure, "no key of such"},
		{"a corrupt byte", "image.asc", "images.asc", true, cloud.TaskFailure, "was refused"},
		{"a corrupt byte, minisign", "image.minisig", "minisign.pub", true, cloud.TaskFailure, "was refused"},
		{"a legacy .sig", "image.sig", "", false, cloud.TaskSuccess, "warning: not signed"},
		{"a legacy .sig of a corrupt byte", "image.sig", "", true, cloud.TaskFailure, "was refused"},
	} {
		for _, method := range []string{cloud.ImportWebDownload, cloud.ImportDirect} {
			t.Run(c.name+", "+method, func(t *testing.T) {
				sent := data
				if c.corrupt {
					sent = corrupt
				}
				h := newHouse(t, image.Options{Source: serving(sent), Keyring: filepath.Join("../../disk/verify/testdata", "images.asc")})
				img := h.image(ann, nil)
				if method == cloud.ImportDirect {
					if err := h.Stage(ctx, ann, img.ID, bytes.NewReader(sent)); err != nil {
						t.Fatal(err)
					}
				}
				key := ""
				if c.key != "" {
					key = vouchData(t, c.key)
				}
				task := h.step(h.imports(img.ID, signedImport(method, vouchData(t, c.signature), key)).ID)
				if task.Status != c.status || !strings.Contains(task.Message, c.says) {
					t.Errorf("%s: %s", task.Status, task.Message)
				}
				if got := h.get(img.ID); (got.Status == cloud.ImageActive) != (c.status == cloud.TaskSuccess) {
					t.Error(got.Status)
				}
			})
		}
	}
}

func TestImportsThatCannotBeVouchedFor(t *testing.T) {
	h := newHouse(t, image.Options{Source: serving(nil)})
	img := h.image(ann, nil)
	for said, task := range map[string]cloud.ImageTask{
		"trusts no keys":         signedImport(cloud.ImportWebDownload, vouchData(t, "image.asc"), ""),
		"has no public key":      signedImport(cloud.ImportWebDownload, vouchData(t, "image.asc"), "x"),
		"neither an address nor": signedImport(cloud.ImportWebDownload, "x", "x"),
		"not of the web":         signedImport(cloud.ImportWebDownload, "ftp://x/image.asc", "x"),
		"must be text":           {Method: cloud.ImportWebDownload, URI: "http://x/x", Request: map[string]any{"method": map[string]any{image.WordSignature: 1.0}}},
		"is of no use":           {Method: cloud.ImportWebDownload, URI: "http://x/x", Request: map[string]any{"method": map[string]any{image.WordKey: "k"}}},
	} {
		_, err := h.Import(ctx, ann, img.ID, "", task)
		want(t, err, cloud.Invalid, said)
	}
}

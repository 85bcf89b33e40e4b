package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imageimport"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/verify"
	"hearth/internal/service/image"
)

// webImport is an image that the cloud fetches by itself.
type webImport struct {
	uri, name, format  string
	mirrors            []string
	sha256, sha512     string
	signature, keyring string
	convert            string
	properties         map[string]string
	tries              int
}

// newImageImport is 'hearth image import'.
func newImageImport(cfg *config.Config) *cobra.Command {
	w := webImport{}
	var properties []string
	cmd := &cobra.Command{
		Use: "import URI", Short: "Have the cloud fetch an image: from the web, a registry, or a stream", Args: cobra.ExactArgs(1),
		Long: "Have the cloud fetch an image, and show how far it is each second. Interrupted, it is cancelled and\n" +
			"leaves nothing. Where a connection breaks off the cloud goes on by itself, if the server can do that;\n" +
			"then it takes the next mirror; then all is tried again.\n\n" +
			"  http://, https://                    what a server has\n" +
			"  docker://HOST/NAME:TAG, oci://…      the disk in an image of a registry: /disk/* of a layer\n" +
			"                                       (containerdisks), a layer by itself (ORAS), or else the tree of\n" +
			"                                       files of all layers, of which the cloud makes a disk\n" +
			"  simplestreams:URL#release=noble      the newest disk of a product; URL is that of its index.json\n\n" +
			"--signature is a file, or an address that the cloud asks, with a signature of OpenPGP or minisign\n" +
			"by a key of --keyring, or of the operator's (image.keyring). Bytes that are others are refused.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			w.uri = args[0]
			if w.properties, err = keyValues(properties); err != nil {
				return err
			}
			up, err := newUploader(cmd, cfg)
			if err != nil {
				return err
			}
			id, err := up.fetch(w)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "Added new image with ID: %s\n", id)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&w.name, "name", "", "name of the image; empty: the last part of the URI")
	f.StringVar(&w.format, "disk-format", "", "raw, qcow2, vmdk …; empty: this machine looks at the first bytes")
	f.StringArrayVar(&w.mirrors, "mirror", nil, "another address of the same bytes, any number of times")
	f.StringVar(&w.sha256, "sha256", "", "what the bytes must be")
	f.StringVar(&w.sha512, "sha512", "", "what the bytes must be")
	f.StringVar(&w.signature, "signature", "", "file or address of a signature")
	f.StringVar(&w.keyring, "keyring", "", "file with the public keys that may have signed")
	f.StringVar(&w.convert, "convert-to", "", "format that the cloud keeps it in")
	f.IntVar(&w.tries, "tries", 3, "how often all is tried")
	f.StringArrayVar(&properties, "property", nil, "KEY=VALUE, any number of times")
	return cmd
}

// keyValues reads KEY=VALUE.
func keyValues(list []string) (map[string]string, error) {
	said := map[string]string{}
	for _, p := range list {
		key, value, ok := strings.Cut(p, "=")
		if !ok {
			return nil, fmt.Errorf("--property %s: want KEY=VALUE", p)
		}
		said[key] = value
	}
	return said, nil
}

// fetch has the cloud make an image of what is somewhere else. What came to nothing
// leaves no image.
func (u uploader) fetch(w webImport) (id string, err error) {
	body, err := w.request()
	if err != nil {
		return "", err
	}
	packed := false
	if w.format == "" {
		if w.format, packed, err = formatAt(u.ctx, w.uri); err != nil {
			return "", fmt.Errorf("this machine cannot look at the image's first bytes; say its --disk-format: %w", err)
		}
	}
	properties := map[string]string{}
	for k, v := range w.properties {
		properties[k] = v
	}
	for k, v := range map[string]string{image.ExpectSHA256: w.sha256, image.ExpectSHA512: w.sha512} {
		if v != "" {
			properties[k] = v
		}
	}
	w.name = cmp.Or(w.name, path.Base(strings.SplitN(w.uri, "#", 2)[0]))
	if packed {
		id, err = u.createIn("ova", w.name, w.format, properties)
	} else {
		id, err = u.create(w.name, w.format, properties)
	}
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		err = u.fetchOnce(w.name, id, body)
		var failed taskError
		if err == nil || !errors.As(err, &failed) || failed.final() || try >= w.tries || u.ctx.Err() != nil {
			break
		}
		fmt.Fprintf(u.progress, "  %s: %v; it is tried again\n", w.name, err)
	}
	if err != nil {
		_ = images.Delete(context.WithoutCancel(u.ctx), u.glance, id).ExtractErr() // which cancels it
		if u.ctx.Err() != nil {
			return "", errors.New("the import was cancelled, and its image removed")
		}
		return "", err
	}
	return id, nil
}

// request is the body that asks for the import.
func (w webImport) request() (map[string]any, error) {
	method := map[string]any{"name": string(imageimport.WebDownloadMethod), "uri": w.uri}
	if len(w.mirrors) > 0 {
		method["hearth_mirrors"] = w.mirrors
	}
	if w.keyring != "" {
		b, err := disk.ReadText(w.keyring, verify.Most)
		if err != nil {
			return nil, err
		}
		if _, err := verify.ReadKeys(b); err != nil {
			return nil, fmt.Errorf("%s: %w", w.keyring, err)
		}
		if b, err = armored(b); err != nil {
			return nil, err
		}
		method[image.WordKey] = string(b)
	}
	if w.signature != "" {
		method[image.WordSignature] = w.signature
		if !strings.Contains(w.signature, "://") {
			b, err := disk.ReadText(w.signature, verify.Most)
			if err != nil {
				return nil, err
			}
			if b, err = armored(b); err != nil {
				return nil, err
			}
			method[image.WordSignature] = string(b)
		}
	}
	body := map[string]any{"method": method}
	if w.convert != "" {
		body["hearth_disk_format"] = w.convert
	}
	return body, nil
}

// armored is OpenPGP's bytes as text; what is text stays.
func armored(b []byte) ([]byte, error) { return verify.Armor(b) }

// formatAt looks at the first bytes of what is somewhere. Of the package of a virtual machine it takes
// the disk for what nearly all of them have.
func formatAt(ctx context.Context, uri string) (format string, packed bool, err error) {
	web, err := fromAnywhere()
	if err != nil {
		return "", false, err
	}
	body, _, err := web.Open(ctx, uri)
	if err != nil {
		return "", false, err
	}
	defer body.Close()
	head := make([]byte, disk.SniffLen)
	n, err := io.ReadFull(body, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	if ova.Is(bytes.NewReader(head[:n])) {
		return string(disk.VMDK), true, nil
	}
	return string(disk.Sniff(head[:n]).Format), false, nil
}

// importTask is a task as the cloud tells of it. The bytes are Hearth's own words.
type importTask struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"message"`
	Done    int64  `json:"hearth_bytes"`
	Total   int64  `json:"hearth_bytes_total"`
}

// taskError is why an import came to nothing.
type taskError struct{ message string }

func (e taskError) Error() string { return e.message }

// final tells whether another try would do no better.
func (e taskError) final() bool { return strings.Contains(e.message, "was refused") }

// importBeat is how often the cloud is asked how far an import is.
const importBeat = 250 * time.Millisecond

// fetchOnce asks for the import and follows it to its end.
func (u uploader) fetchOnce(name, id string, body map[string]any) error {
	_, err := u.glance.Post(u.ctx, u.glance.ServiceURL("images", id, "import"), body, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}}) //nolint:bodyclose // gophercloud closes what nobody wants
	if err != nil {
		return refusal(err)
	}
	began, told := time.Now(), time.Time{}
	tick := time.NewTicker(importBeat) // glance has nothing that tells of a task's progress but its answer
	defer tick.Stop()
	for {
		task, err := u.lastTask(id)
		if err != nil {
			return err
		}
		took := time.Since(began)
		switch task.Status {
		case "success":
			fmt.Fprintf(u.progress, "  %s: %.1f MB in %s, %.1f MB/s; %s\n", name, float64(task.Done)/1e6, took.Round(10*time.Millisecond), float64(task.Done)/1e6/max(took.Seconds(), 1e-3), task.Message)
			return nil
		case "failure":
			return taskError{task.Message}
		}
		if time.Since(told) >= time.Second {
			told = time.Now()
			fmt.Fprintf(u.progress, "  %s: %s\n", name, howFar(task, took))
		}
		select {
		case <-u.ctx.Done():
			return context.Cause(u.ctx)
		case <-tick.C:
		}
	}
}

// howFar is a task's progress: bytes, rate, and what is left.
func howFar(t importTask, took time.Duration) string {
	rate := float64(t.Done) / max(took.Seconds(), 1e-3)
	text := fmt.Sprintf("%.1f MB, %.1f MB/s", float64(t.Done)/1e6, rate/1e6)
	if t.Total <= 0 || t.Done == 0 {
		return text
	}
	left := time.Duration(float64(t.Total-t.Done) / rate * float64(time.Second))
	return fmt.Sprintf("%d %% of %.1f MB, %.1f MB/s, %s left", 100*t.Done/t.Total, float64(t.Total)/1e6, rate/1e6, left.Round(time.Second))
}

// lastTask is the newest import of an image.
func (u uploader) lastTask(id string) (task importTask, err error) {
	var answer struct {
		Tasks []importTask `json:"tasks"`
	}
	resp, err := u.glance.Get(u.ctx, u.glance.ServiceURL("images", id, "tasks"), &answer, nil)
	if err != nil {
		return task, refusal(err)
	}
	_ = resp.Body.Close()
	if len(answer.Tasks) == 0 {
		return task, errors.New("the cloud tells nothing of the import")
	}
	return answer.Tasks[len(answer.Tasks)-1], nil
}

// fetches tells whether the cloud fetches images by itself.
func (u uploader) fetches() bool {
	info, err := imageimport.Get(u.ctx, u.glance).Extract()
	return err == nil && slices.Contains(info.ImportMethods.Value, string(imageimport.WebDownloadMethod))
}

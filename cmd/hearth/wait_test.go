package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hearth/internal/config"
)

// TestWaitReadySaysWhatLacks has it wait for what is not there, for parts that do not come up, and for something that is no cloud.
func TestWaitReadySaysWhatLacks(t *testing.T) {
	status, answer := http.StatusServiceUnavailable, `{"ready":false,"parts":{"node":false,"api":true,"backends":false}}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	wait := func(listen string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := waitReady(ctx, &config.Config{Listen: listen}); err != nil {
			return err.Error()
		}
		return ""
	}
	listen := strings.TrimPrefix(srv.URL, "http://")
	if said := wait(listen); !strings.Contains(said, "what is not up yet is backends, node; its log says why") {
		t.Errorf("of two parts it is said: %s", said)
	}
	status, answer = http.StatusNotFound, "<html>"
	if said := wait(listen); !strings.Contains(said, "404 Not Found") {
		t.Errorf("of another server it is said: %s", said)
	}
	status, answer = http.StatusOK, "{}"
	if said := wait(listen); said != "" {
		t.Errorf("of a cloud that is ready it is said: %s", said)
	}
	srv.Close()
	if said := wait(listen); !strings.Contains(said, "no cloud answers there: start it with 'hearth up'") {
		t.Errorf("of no cloud it is said: %s", said)
	}
}

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

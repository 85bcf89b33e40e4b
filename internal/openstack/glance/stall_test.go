package glance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestDownloadThatStalls ends, and says why, when a server has sent nothing for too long.
func TestDownloadThatStalls(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		<-over
	}))
	t.Cleanup(func() { close(over); server.Close() })
	d, err := NewDownloads("127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	d.stall = 20 * time.Millisecond
	body, _, err := d.Open(t.Context(), server.URL+"/image")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err == nil || err.Error() != "no byte came for 20ms" || string(got) != "the beginning" {
		t.Errorf("%q, %v", got, err)
	}
}

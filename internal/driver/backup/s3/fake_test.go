package s3

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	accessKey = "EMBER"
	secretKey = "a secret for tests"
)

// store is a store that speaks as much of S3 as backups need, over real HTTP:
// bucket "ember", addresses by path, lists of version 2 in pages of 500.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	broken  int // how many requests more are answered with 503
}

func serve(t *testing.T) (*store, *httptest.Server) {
	s := &store{objects: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case s.broken > 0:
		s.broken--
		say(w, 503, "SlowDown", "come again")
	case !strings.Contains(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+accessKey+"/") || r.Header.Get("X-Amz-Date") == "":
		say(w, 403, "InvalidAccessKeyId", "who are you?")
	case bucket != "ember":
		say(w, 404, "NoSuchBucket", "no such bucket")
	case key == "" && r.Method == "GET":
		s.list(w, r)
	case r.Method == "PUT":
		s.put(w, r, key)
	case r.Method == "DELETE":
		delete(s.objects, key)
		w.WriteHeader(204)
	default:
		s.get(w, r, key)
	}
}

func say(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, text)
}

func (s *store) get(w http.ResponseWriter, r *http.Request, key string) {
	data, ok := s.objects[key]
	if !ok {
		say(w, 404, "NoSuchKey", "no such key")
		return
	}
	w.Header().Set("ETag", `"e"`)
	w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != "HEAD" {
		_, _ = w.Write(data)
	}
}

// put takes a body as it is, or in the chunks of a signature that streams.
func (s *store) put(w http.ResponseWriter, r *http.Request, key string) {
	body := io.Reader(r.Body)
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = unchunk(r.Body)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		say(w, 400, "IncompleteBody", err.Error())
		return
	}
	s.objects[key] = data
	w.Header().Set("ETag", `"e"`)
}

func unchunk(r io.Reader) io.Reader {
	in, out := bufio.NewReader(r), &bytes.Buffer{}
	for {
		line, err := in.ReadString('\n')
		size, perr := strconv.ParseInt(strings.SplitN(strings.TrimSpace(line), ";", 2)[0], 16, 64)
		if err != nil || perr != nil || size == 0 {
			return out
		}
		_, _ = io.CopyN(out, in, size)
		_, _ = in.ReadString('\n')
	}
}

func (s *store) list(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Key  string
		Size int
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	q := r.URL.Query()
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("continuation-token") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if len(keys) > 500 {
		keys, out.IsTruncated = keys[:500], true
		out.NextContinuationToken = keys[499]
	}
	for _, key := range keys {
		out.Contents = append(out.Contents, content{key, len(s.objects[key])})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

func TestParseOld(t *testing.T) {
	for _, tt := range []struct {
		args    string
		options map[string][]string
		words   []string
		err     string
	}{
		{args: "--image-id I --display_name=n 10", options: map[string][]string{"image-id": {"I"}, "display-name": {"n"}}, words: []string{"10"}},
		{args: "10 --image-id I --poll", options: map[string][]string{"image-id": {"I"}, "poll": {"true"}}, words: []string{"10"}},
		{args: "--nonsense 10", err: "--nonsense is not known"},
		{args: "10 --image-id", err: "wants a value"},
	} {
		l, err := parseOld(strings.Fields(tt.args), []string{"image-id", "display-name"}, []string{"poll"})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", tt.args, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(l.options, tt.options) || !reflect.DeepEqual(l.words, tt.words) {
			t.Errorf("%s: %+v, %v", tt.args, l, err)
		}
	}
}

func TestGlanceFieldsOfThenAndNow(t *testing.T) {
	for field, today := range map[string]string{
		"disk_format=aki": "--disk-format aki", "is_public=True": "--public", "is_public=False": "--private", "kernel_id=abc": "--property kernel_id=abc",
		"os=two words": "--property 'os=two words'", "protected=True": "--protected", "protected=False": "", "size=7": "", "min_ram=64": "--min-ram 64",
	} {
		key, value, _ := strings.Cut(field, "=")
		want := images.CreateOpts{Properties: map[string]string{}}
		words, err := glanceField(&want, key, value)
		if err != nil || command(words) != today {
			t.Errorf("%s: %q, %v", field, command(words), err)
		}
	}
	if _, err := glanceField(&images.CreateOpts{}, "copy_from", "http://x/y"); err == nil || !strings.Contains(err.Error(), "web-download --uri http://x/y") {
		t.Errorf("%v", err)
	}
}

func TestLoginByVariablesOfThen(t *testing.T) {
	env := map[string]string{"OS_AUTH_URL": "http://10.0.0.1:5000/v2.0/", "OS_USERNAME": "demo", "OS_PASSWORD": "x", "OS_TENANT_NAME": "demo"}
	a := oldLogin(func(k string) string { return env[k] })
	if a.IdentityEndpoint != "http://10.0.0.1:5000/v3" || a.TenantName != "demo" || a.DomainID != "default" {
		t.Errorf("%+v", a)
	}
	env["OS_USER_DOMAIN_NAME"], env["OS_PROJECT_ID"], env["OS_AUTH_URL"] = "Default", "p", "https://c/v3"
	if a = oldLogin(func(k string) string { return env[k] }); a.DomainName != "Default" || a.DomainID != "" || a.TenantID != "p" || a.TenantName != "" || a.IdentityEndpoint != "https://c/v3" {
		t.Errorf("%+v", a)
	}
}

func TestOldNames(t *testing.T) {
	for program, name := range map[string]string{"/opt/names/glance": "glance", "gnt-instance": "gnt-instance", "./hearth": "", "/usr/bin/hearth-glance": ""} {
		if got := oldName(program); got != name {
			t.Errorf("%s: %q", program, got)
		}
	}
	for _, tool := range oldTools() {
		seen := map[string]bool{}
		for _, v := range tool.verbs {
			if v.do == nil || seen[v.name] {
				t.Errorf("%s %s is there twice or does nothing", tool.name, v.name)
			}
			seen[v.name] = true
		}
	}
}

package e2e

import (
	"encoding/json"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// metadata asks all three metadata services from inside a guest.
func (g *stage) metadata() {
	in := sshTo(g.t, "ember", g.one.float, g.signer)
	const fetch = "wget -q -O - http://169.254.169.254"
	short := "i-" + g.one.id[:8]
	for path, want := range map[string]string{
		"/latest/meta-data/instance-id":     short,
		"/latest/meta-data/local-ipv4":      g.one.fixed4,
		"/latest/meta-data/instance-type":   "e2e.2",
		"/latest/meta-data/security-groups": "web",
		"/latest/meta-data/public-keys/":    "0=me",
		"/latest/meta-data/public-ipv4":     g.one.float,
		"/2009-04-04/meta-data/instance-id": short,
		"/latest/user-data":                 strings.TrimSpace(userScript),
		"/openstack/latest/user_data":       strings.TrimSpace(userScript),
	} {
		if got, err := in.try(fetch + path); got != want {
			g.t.Errorf("GET %s: %q, want %q (%v)", path, got, want, err)
		}
	}
	// What the owner changes later, the guest is told.
	g.do(servers.UpdateMetadata(g.ctx, g.compute, g.one.id, servers.MetadataOpts{"colour": "green"}).Err)
	eventually(g.t, "metadata set later is told", func() bool { return strings.Contains(in.run(fetch+"/openstack/latest/meta_data.json"), `"green"`) })
	if got := in.run(fetch + "/latest/meta-data/hostname"); got != "one" && !strings.HasPrefix(got, "one.") {
		g.t.Errorf("hostname is %q", got)
	}
	if got := in.run(fetch + "/latest/meta-data/public-keys/0/openssh-key"); !strings.HasPrefix(got, "ssh-ed25519 ") {
		g.t.Errorf("openssh-key is %q", got)
	}
	g.sessionToken(in)
	var meta struct {
		UUID, Name string
		PublicKeys map[string]string `json:"public_keys"`
	}
	if err := json.Unmarshal([]byte(in.run(fetch+"/openstack/latest/meta_data.json")), &meta); err != nil || meta.UUID != g.one.id || meta.Name != "one" || meta.PublicKeys["me"] == "" {
		g.t.Errorf("meta_data.json: %+v, %v", meta, err)
	}
	var nets struct {
		Links []struct {
			MAC string `json:"ethernet_mac_address"`
			MTU int
		}
	}
	if err := json.Unmarshal([]byte(in.run(fetch+"/openstack/latest/network_data.json")), &nets); err != nil || len(nets.Links) != 1 || nets.Links[0].MAC != g.one.mac {
		g.t.Errorf("network_data.json: %+v, %v", nets, err)
	}
	// Nothing that the tree lists may be missing: cloud-init tries such a key for five seconds.
	walk := `f() { for k in $(wget -q -O - http://169.254.169.254/latest/meta-data/$1); do case $k in
		*=*) k=${k%%=*}/ ;; esac; case $k in */) f $1$k ;; *) wget -q -O /dev/null http://169.254.169.254/latest/meta-data/$1$k || echo missing $1$k ;; esac; done; }; f ""`
	if out := in.run(walk); out != "" {
		g.t.Errorf("the tree of EC2 metadata lists what is not there:\n%s", out)
	}
	if out := in.run(fetch + "/latest/meta-data/nonsense 2>&1 || true"); !strings.Contains(out, "404") {
		g.t.Errorf("a key that is not there: %q, want 404", out)
	}
}

// sessionToken gets a token of IMDSv2 and uses it; a wrong one is refused.
func (g *stage) sessionToken(in *login) {
	const put = `printf 'PUT /latest/api/token HTTP/1.0\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n\r\n' | nc -w 10 169.254.169.254 80 | tail -n 1`
	token := in.run(put)
	get := func(token string) string {
		return in.run("wget -q -O - --header 'X-aws-ec2-metadata-token: " + token + "' http://169.254.169.254/latest/meta-data/instance-id 2>&1 || true")
	}
	if got := get(token); token == "" || got != "i-"+g.one.id[:8] {
		g.t.Errorf("with the token %q of IMDSv2: %q", token, got)
	}
	if got := get("not-a-token"); !strings.Contains(got, "401") {
		g.t.Errorf("with a wrong token: %q, want 401", got)
	}
}

// configDrive boots a guest with a config drive and without any network, by
// Debian's client.
func (g *stage) configDrive() {
	script := g.script()
	g.client("openstack", "--os-compute-api-version", "2.37", "server", "create", "--image", g.bare, "--flavor", g.flavor(2), "--key-name", "me",
		"--config-drive", "true", "--nic", "none", "--user-data", script, "--wait", "driven")
	m := &machine{name: "driven", id: g.field("id", "server", "show", "driven")}
	log := g.awaitConsole(m.id, "user-data-was-here", "login:", "config drive")
	if !strings.Contains(log, m.id) {
		g.t.Errorf("the guest did not find its own id on the drive:\n%s", log)
	}
	g.remove(m)
}

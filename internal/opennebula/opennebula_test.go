package opennebula

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is read to testdata/testVM.json")

// TestSeed reads the three files of seeds/002's test machine, as its programs have
// them, with the descriptions in other words.
func TestSeed(t *testing.T) {
	var files []File
	for _, name := range []string{"testVM.vmd", "testVM.dsconf", "testVM.one"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{name, string(b)})
	}
	p, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "testVM.json")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(bytes.TrimSpace(want), got) {
		t.Errorf("%s\n%v", got, err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Template{
		"":    nil,
		"a=b": {{Name: "A", Value: "b", Line: 1}},
		"# c\nA = two words # c\nB = \"x\\\"#\\\\\ny\"": {{Name: "A", Value: "two words", Line: 2}, {Name: "B", Value: "x\"#\\\ny", Line: 3}},
		"N = [ A = b,\n# c\nC = \"d,]\" ]\nM=[]":        {{Name: "N", Line: 1, Vector: []Attribute{{Name: "A", Value: "b", Line: 1}, {Name: "C", Value: "d,]", Line: 3}}}, {Name: "M", Line: 4, Vector: []Attribute{}}},
		"A =\nB = c\nC = \r\nD = [ E = \"\", F = ]\nG =\n\"h\"\nI =": {{Name: "A", Line: 1}, {Name: "B", Value: "c", Line: 2}, {Name: "C", Line: 3},
			{Name: "D", Line: 4, Vector: []Attribute{{Name: "E", Line: 4}, {Name: "F", Line: 4}}}, {Name: "G", Value: "h", Line: 5}, {Name: "I", Line: 7}},
	} {
		if got, err := Parse(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"A": "line 1: a = is missing", "\nA = [ B = c": "line 2: a comma or a ]", "A = \"b": "a quote", "= b": "a name is missing",
		"A = [ B = \"c\" D = e ]": "a comma", strings.Repeat("A=b\n", maxAttributes+1): "more than", strings.Repeat(" ", maxText+1): "more than the",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, %v", text, got, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	image := "NAME=i\nPATH=/x\n"
	vm := "NAME=v\nMEMORY=64\nDISK=[IMAGE_ID=0]\n"
	for want, texts := range map[string][]string{
		"no template":                    {"NAME=x"},
		"no NAME":                        {"PATH=/x"},
		"empty disk":                     {"NAME=x\nSIZE=5"},
		"TYPE KERNEL":                    {"NAME=x\nPATH=/x\nTYPE=KERNEL"},
		"DEV_PREFIX":                     {"NAME=x\nPATH=/x\nDEV_PREFIX=q"},
		"machine has no NAME":            {"MEMORY=5"},
		`MEMORY is "0"`:                  {"NAME=x\nMEMORY=0"},
		`CPU "NaN"`:                      {"NAME=x\nMEMORY=5\nCPU=NaN"},
		"but 0 images are":               {vm},
		"no DISK of an image":            {"NAME=v\nMEMORY=64"},
		"a second DISK":                  {image, vm + "DISK=[IMAGE=other]"},
		`TYPE "block"`:                   {image, vm + "DISK=[TYPE=block]"},
		"SIZE of a DISK":                 {image, vm + "DISK=[TYPE=swap]"},
		"is not one of a network":        {image, vm + `NIC=[MAC="01:00:5e:00:00:01"]`},
		"is no address":                  {image, vm + "NIC=[IP=10.0.0]"},
		"import-ami":                     {image, vm + "OS=[KERNEL=/vmlinuz]"},
		"boots from a CD":                {image, vm + "OS=[BOOT=cdrom]"},
		"both have the MAC":              {image, vm + "NIC=[MAC=52:54:00:00:00:01]\nNIC=[MAC=52:54:00:00:00:01]"},
		"has 256 characters":             {image, vm + "CONTEXT=[SSH_PUBLIC_KEY=\"" + strings.Repeat("é", 256) + "\"]"},
		"machines are called v":          {image, vm, vm},
		"images are called i":            {image, image},
		"a second DISK of the TYPE swap": {image, vm + "DISK=[TYPE=swap,SIZE=5]\nDISK=[TYPE=swap,SIZE=6]"},
		"a second DISK of the TYPE fs":   {image, vm + "DISK=[TYPE=fs,SIZE=5]\nDISK=[TYPE=fs,SIZE=6]"},
	} {
		var files []File
		for _, text := range texts {
			files = append(files, File{"f", text})
		}
		if _, err := Read(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", texts, err, want)
		}
	}
}

func TestMachine(t *testing.T) {
	p, err := Read([]File{{"i", "NAME=cd\nPATH=x.iso\nTYPE=CDROM\nDEV_PREFIX=hd\nPERSISTENT=YES"}, {"v", `NAME = web
MEMORY = 1024
CPU = 2.5
VCPU = 4
DISK = [ IMAGE = "ubuntu", TARGET = vda ]
DISK = [ TYPE = swap, SIZE = 512 ]
DISK = [ TYPE = fs, SIZE = 1025, FORMAT = ext3 ]
NIC = [ NETWORK = "Public", IP = 10.0.0.5, MODEL = virtio ]
NIC = [ NETWORK_ID = 3 ]
CONTEXT = [ HOSTNAME = web, ROOT_PUBKEY = "ssh-rsa A" ]
REQUIREMENTS = "CPUSPEED > 1000"`}})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Machines[0]
	if m.VCPUs != 4 || m.SwapMB != 512 || m.DiskGB != 2 || m.Image != (Ref{Number: -1, Name: "ubuntu"}) || len(m.NICs) != 2 || m.NICs[0].Address.String() != "10.0.0.5" || m.Metadata["root_pubkey"] != "ssh-rsa A" {
		t.Errorf("%+v", m)
	}
	if i := p.Images[0]; !i.CD || i.Properties["hw_disk_bus"] != "ide" {
		t.Errorf("%+v", i)
	}
	notes := strings.Join(p.Notes, "\n")
	for _, want := range []string{"REQUIREMENTS is left out", "NETWORK_ID is left out", "PERSISTENT"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in %s", want, notes)
		}
	}
}

// FuzzRead: whatever is read keeps its bounds.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"testVM.vmd", "testVM.dsconf", "testVM.one"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add("N = [ A = \"\\\"\", B=c ]")
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := Parse(text); err == nil && len(list) > maxAttributes {
			t.Error(len(list))
		}
		p, err := Read([]File{{"image", "NAME=i\nPATH=/x"}, {"f", text}})
		if err != nil {
			return
		}
		for _, m := range p.Machines {
			if m.Name == "" || m.MemoryMB < 1 || m.VCPUs < 1 || m.Image.Number >= len(p.Images) {
				t.Errorf("%q: %+v", text, m)
			}
		}
	})
}

// TestContextVariables: what the files tell is put in for a variable, what they do not tell stays, with
// a note.
func TestContextVariables(t *testing.T) {
	vm := `NAME = web
MEMORY = 1024
CPU = 0.5
COLOUR = "dark blue"
DISK = [ IMAGE_ID = 0, DRIVER = qcow2 ]
NIC = [ NETWORK = "Private", IP = 192.168.0.5 ]
NIC = [ NETWORK = "Public net", IP = 10.0.0.5, MAC = "02:00:0a:00:00:05" ]
CONTEXT = [ A = $NAME, B = "$NAME.example $NAME-$MEMORY$CPU", C = "$NIC[IP]", D = "$NIC[ IP, NETWORK=\"Public net\" ]", E = "$IMAGE[ROOT_PASS, IMAGE_ID=0]",
  F = "$IMAGE[description,IMAGE=\"the image\"]", G = "$COLOUR", H = "\\$NAME $(date) $", I = "$Disk[DRIVER]$VMID",
  J = "$UNAME", K = "$NIC[MAC]", L = "$NETWORK[DNS, NETWORK_ID=0]", M = "$USER[SSH_PUBLIC_KEY]", N = "$NIC[IP, NETWORK=other]", O = "$HOME", P = "$NIC" ]`
	image := "NAME = \"the image\"\nPATH = /x\nROOT_PASS = secret\nDESCRIPTION = \"of $NAME\""
	for _, files := range [][]File{{{"i", image}, {"v", vm}}, {{"v", vm}, {"i", image}}} {
		p, err := Read(files)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"a": "web", "b": "web.example web-10240.5", "c": "192.168.0.5", "d": "10.0.0.5", "e": "secret", "f": "of $NAME", "g": "dark blue", "h": `\$NAME $(date) $`, "i": "qcow2$VMID",
			"j": "$UNAME", "k": "$NIC[MAC]", "l": "$NETWORK[DNS, NETWORK_ID=0]", "m": "$USER[SSH_PUBLIC_KEY]", "n": "$NIC[IP, NETWORK=other]", "o": "$HOME", "p": "$NIC",
		}
		if got := p.Machines[0].Metadata; !reflect.DeepEqual(got, want) {
			t.Errorf("%v\nwant %v", got, want)
		}
		notes := strings.Join(p.Notes, "\n")
		for _, kept := range []string{"I: $VMID", "J: $UNAME", "K: $NIC[MAC]", "L: $NETWORK[DNS, NETWORK_ID=0]", "M: $USER[SSH_PUBLIC_KEY]", "N: $NIC[IP, NETWORK=other]", "O: $HOME", "P: $NIC "} {
			if !strings.Contains(notes, "v: CONTEXT "+kept) {
				t.Errorf("no note of %s in\n%s", kept, notes)
			}
		}
		for _, known := range []string{"CONTEXT A", "CONTEXT H"} {
			if strings.Contains(notes, known) {
				t.Errorf("a needless note of %s", known)
			}
		}
	}
	long := "NAME = v\nMEMORY = 64\nBIG = \"" + strings.Repeat("é", 200) + "\"\nDISK = [ IMAGE_ID = 0 ]\nCONTEXT = [ X = \"$BIG$BIG\" ]"
	if _, err := Read([]File{{"i", image}, {"v", long}}); err == nil || !strings.Contains(err.Error(), "v: CONTEXT X has 400 characters") {
		t.Error(err)
	}
}

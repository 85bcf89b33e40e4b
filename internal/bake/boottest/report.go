package boottest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Results of a stage, and of the whole.
const (
	Passed  = "pass"
	Failed  = "fail"
	Skipped = "skipped" // not seen, and not needed; or not come to
)

// Stage is one step of a boot.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"` // since the guest was switched on
	Result  string  `json:"result"`
	Text    string  `json:"text"` // by what it was known, or why not
}

// Report is what came of a test.
type Report struct {
	Image    string    `json:"image"`
	Format   string    `json:"format"`
	Size     int64     `json:"size"` // of the disk, bytes
	Result   string    `json:"result"`
	Reason   string    `json:"reason"` // of a failure: a sentence
	Machine  string    `json:"machine"`
	CPU      string    `json:"cpu"`
	Firmware string    `json:"firmware"`
	Accel    string    `json:"accel"`
	QEMU     string    `json:"qemu"`
	MemoryMB int       `json:"memory_mb"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Crashes  int       `json:"qemu_crashes,omitempty"` // of QEMU before this boot, which begins anew after one
	Stages   []Stage   `json:"stages"`
	Address  string    `json:"address"` // that DHCP gave
	User     string    `json:"user"`    // who logged in
	Guest    []string  `json:"guest"`   // what the guest says of itself: system, kernel, df of /, uptime
	Console  string    `json:"-"`       // all that was printed on the serial line
}

func (t *test) newReport() *Report {
	return &Report{Image: t.opt.Image, Format: string(t.layer.Format), Size: t.size, Machine: t.opt.Machine, CPU: t.opt.CPU, Firmware: t.opt.Firmware,
		Accel: t.accel, QEMU: t.version, MemoryMB: t.opt.MemoryMB, Started: time.Now().UTC().Truncate(time.Second), Stages: []Stage{}, Guest: []string{}}
}

// order is that of the stages in a report; needed ones fail the test.
var order = []struct {
	name   string
	needed bool
}{{Loader, false}, {Kernel, false}, {DHCP, true}, {Prompt, false}, {Banner, true}, {Login, true}, {Shutdown, true}}

// finish fills the report in. The first stage that is needed and was not reached has
// the failure; later ones were not come to.
func (r *Report) finish(f *follower, reason, console string) {
	r.Reason, r.Console, r.User, r.Seconds = reason, console, f.user, time.Since(f.began).Seconds()
	if f.lease != nil {
		r.Address = f.lease.String()
	}
	if f.facts != nil {
		r.Guest = f.facts
	}
	for _, o := range order {
		r.Stages = append(r.Stages, stageIn(f.reached, o.name))
	}
	r.Result = Passed
	if reason == "" {
		return
	}
	r.Result = Failed
	if i := firstMissing(r.Stages, reason); i >= 0 {
		r.Stages[i].Result, r.Stages[i].Text = Failed, reason
		r.Stages[i].Seconds = r.Seconds
	}
}

func stageIn(reached []Stage, name string) Stage {
	for _, s := range reached {
		if s.Name == name {
			return s
		}
	}
	return Stage{Name: name, Result: Skipped, Text: "not seen"}
}

// firstMissing is the stage that a failure is put down to: the first after the last that
// was reached.
func firstMissing(stages []Stage, _ string) int {
	at := 0
	for i, s := range stages {
		if s.Result == Passed {
			at = i + 1
		}
	}
	for i := 0; i < min(at, len(stages)); i++ { // one that is needed may lack in between
		if stages[i].Result == Skipped && order[i].needed {
			return i
		}
	}
	if at >= len(stages) {
		return len(stages) - 1
	}
	return at
}

// Write puts boot-test.json, boot-test.xml (JUnit) and console.log into a folder, which
// is made if it lacks.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	x, err := r.JUnit()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, "boot-test.json"), append(b, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "boot-test.xml"), x, 0o644),
		os.WriteFile(filepath.Join(dir, "console.log"), []byte(r.Console), 0o644))
}

type (
	junitSuite struct {
		XMLName  xml.Name        `xml:"testsuite"`
		Name     string          `xml:"name,attr"`
		Tests    int             `xml:"tests,attr"`
		Failures int             `xml:"failures,attr"`
		Skipped  int             `xml:"skipped,attr"`
		Time     string          `xml:"time,attr"`
		Stamp    string          `xml:"timestamp,attr"`
		Props    []junitProperty `xml:"properties>property"`
		Cases    []junitCase     `xml:"testcase"`
		Out      string          `xml:"system-out"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit is the report as the XML that Jenkins and others read: a suite with a case for
// each stage, whose time is that since the stage before, and the console.
func (r *Report) JUnit() ([]byte, error) {
	s := junitSuite{Name: "boot-test " + filepath.Base(r.Image), Tests: len(r.Stages), Time: seconds(r.Seconds), Stamp: r.Started.Format("2006-01-02T15:04:05"), Out: r.Console,
		Props: []junitProperty{{"machine", r.Machine}, {"firmware", r.Firmware}, {"accel", r.Accel}, {"qemu", r.QEMU}, {"user", r.User}, {"address", r.Address}, {"guest", strings.Join(r.Guest, "; ")}}}
	before := 0.0
	for _, stage := range r.Stages {
		c := junitCase{Class: "hearth.boot-test", Name: stage.Name, Time: seconds(max(0, stage.Seconds-before))}
		switch stage.Result {
		case Failed:
			s.Failures++
			c.Failure = &junitMessage{stage.Text}
		case Skipped:
			s.Skipped++
			c.Skipped = &junitMessage{stage.Text}
		default:
			c.Out = stage.Text
		}
		before = max(before, stage.Seconds)
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(s, "", "  ")
	return append([]byte(xml.Header), append(b, '\n')...), err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newJob is 'hearth job'.
func newJob(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Tell what became of what was asked of servers and images"}
	var level, request string
	log := &cobra.Command{
		Use: "log SERVER|IMAGE|TASK", Short: "Tell each action of a server, or each import or upload of an image, with its steps", Args: cobra.ExactArgs(1),
		Long: "Tell each action of a server, by name or id, with its steps, the times they took and, with --level debug, what was done in\n" +
			"each: by nova's os-instance-actions, as 'openstack server event list' and 'show' do. Of an image, by name, by id or by the id\n" +
			"of the task that imports it, it tells the last four jobs that gave it its bytes, or tried to.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(jobLevels, level) {
				return fmt.Errorf("--level is %q; it may be %s", level, strings.Join(jobLevels, ", "))
			}
			return jobLog(cmd.Context(), cfg, cmd.OutOrStdout(), args[0], request, level)
		},
	}
	log.Flags().StringVar(&level, "level", "info", "error: failures only; info: steps; debug: what was done in them too")
	log.Flags().StringVar(&request, "request", "", "only the action of this request id")
	cmd.AddCommand(log)
	return cmd
}

var jobLevels = []string{"error", "info", "debug"}

// action is one of os-instance-actions.
type action struct {
	Action    string  `json:"action"`
	RequestID string  `json:"request_id"`
	Start     string  `json:"start_time"`
	Message   string  `json:"message"`
	Events    []event `json:"events"`
}

// event is a step of one.
type event struct {
	Event   string `json:"event"`
	Start   string `json:"start_time"`
	Finish  string `json:"finish_time"`
	Result  string `json:"result"`
	Details string `json:"details"`
}

func jobLog(ctx context.Context, cfg *config.Config, w io.Writer, name, request, level string) error {
	provider, err := dialAny(ctx, cfg)
	if err != nil {
		return err
	}
	nova, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: regionOf(cfg)})
	if err != nil {
		return err
	}
	id := name // of one that is deleted there is no more than its id
	if server, err := serverNamed(ctx, nova, name); err == nil {
		id = server.ID
	} else if done, err := imageJobs(ctx, cfg, provider, w, name, request, level); done || err != nil {
		return err
	}
	var all struct{ InstanceActions []action }
	var said refused
	if err := history(ctx, nova, id, &all); errors.As(err, &said) && said.status == http.StatusNotFound {
		return fmt.Errorf("there is no server, image or task %q; of one that is deleted name the id", name)
	} else if err != nil {
		return err
	}
	slices.Reverse(all.InstanceActions) // the oldest first
	found := false
	for _, a := range all.InstanceActions {
		if request != "" && a.RequestID != request {
			continue
		}
		found = true
		var one struct{ InstanceAction action }
		if err := history(ctx, nova, id, &one, a.RequestID); err != nil {
			return err
		}
		one.InstanceAction.print(w, level)
	}
	if !found && request != "" {
		return fmt.Errorf("server %s has no action of request %s", name, request)
	}
	return nil
}

// detailed is the microversion from which on events have details.
const detailed = "2.84"

// history reads what was done to a server, the last first, or one request of it with its
// events.
func history(ctx context.Context, nova *gophercloud.ServiceClient, server string, into any, request ...string) error {
	nova = since(nova, detailed)
	_, err := nova.Get(ctx, nova.ServiceURL(append([]string{"servers", server, "os-instance-actions"}, request...)...), into, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}) //nolint:bodyclose // the answer is read and closed
	return refusal(err)
}

// since is nova at a microversion.
func since(nova *gophercloud.ServiceClient, version string) *gophercloud.ServiceClient {
	at := *nova
	at.Microversion = version
	return &at
}

func (a action) print(w io.Writer, level string) {
	fmt.Fprintf(w, "%s %s %s %s\n", a.Start, a.Action, a.RequestID, a.Message)
	printEvents(w, a.Events, level)
}

func printEvents(w io.Writer, events []event, level string) {
	for _, e := range events {
		if level == "error" && e.Result != "Error" {
			continue
		}
		fmt.Fprintf(w, "  %-42s %-10s %s\n", e.Event, cmp.Or(e.Result, "-"), took(e.Start, e.Finish))
		if level == "debug" || e.Result == "Error" {
			for line := range strings.Lines(e.Details) {
				fmt.Fprintf(w, "      %s\n", strings.TrimRight(line, "\n"))
			}
		}
	}
}

// took is the time between two of nova's; "" while the second is not there.
func took(start, end string) string {
	const form = "2006-01-02T15:04:05.000000"
	a, err := time.Parse(form, start)
	b, err2 := time.Parse(form, end)
	if err != nil || err2 != nil {
		return ""
	}
	return b.Sub(a).Round(time.Millisecond).String()
}

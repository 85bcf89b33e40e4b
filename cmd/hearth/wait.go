package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newWait is 'hearth wait ready'.
func newWait(cfg *config.Config) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait", Short: "Wait for something of the cloud"}
	ready := &cobra.Command{
		Use: "ready", Short: "Return when every part of the cloud is up", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return waitReady(ctx, cfg)
		},
	}
	ready.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait at most")
	cmd.AddCommand(ready)
	return cmd
}

// faultMessage is the sentence in a fault's body: nova's and its like have it one level down, glance's are
// {"code", "message", "title"} with HTML in it, or a text below a line with the status.
func faultMessage(body []byte) string {
	var fault map[string]struct{ Message string }
	if json.Unmarshal(body, &fault) == nil {
		for _, f := range fault {
			if f.Message != "" {
				return f.Message
			}
		}
	}
	var flat struct{ Message string }
	text := ""
	if json.Unmarshal(body, &flat) == nil {
		text = flat.Message
	} else if _, after, ok := strings.Cut(string(body), "\n\n"); ok && !strings.HasPrefix(strings.TrimSpace(after), "<") {
		text = after
	}
	if text = strings.TrimSpace(html.UnescapeString(strings.ReplaceAll(text, "<br />", " "))); text != "" {
		return text
	}
	return fmt.Sprintf("the cloud answered: %.200s", body)
}

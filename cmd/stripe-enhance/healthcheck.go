package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// healthcheckLimit is below the shortest time-out that container engines use.
const healthcheckLimit = 3 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running service whether it is ready; for containers, which have no curl",
		Long: "Asks /readyz of the service at LISTEN_ADDR on this machine.\n\n" +
			"Exit code 0: it is ready. 1: it is not, or there is no answer.",
		GroupID: groupLook,
		Example: "  stripe-enhance healthcheck\n" +
			"  stripe-enhance healthcheck --url http://127.0.0.1:8080/readyz",
		RunE: func(c *cobra.Command, _ []string) error {
			if url == "" {
				settings, err := p.settings(0)
				if err != nil {
					return err
				}
				url = "http://" + app.Reachable(string(settings.ListenAddr)) + "/readyz"
			}
			return p.healthcheck(c.Context(), url)
		},
	}
	c.Flags().StringVar(&url, "url", "", "the address to ask instead")
	return c
}

func (p *program) healthcheck(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s %s", answer.Status, body)
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]bool{"ready": true})
	}
	return p.printf("ready\n")
}

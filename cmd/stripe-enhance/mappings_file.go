package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// maxImport is far above any price list; more is the wrong file.
const maxImport = 16 << 20

func (p *program) mappingsExport() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:     "export",
		Short:   "All mappings, in the form that import reads (CSV unless -o json)",
		Example: "  stripe-enhance mappings export > mappings.csv\n  stripe-enhance mappings export -o json > mappings.json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error {
				all, err := a.Store.Mappings(ctx)
				if err != nil {
					return err
				}
				rows := mapping.Rows(all)
				if p.format == formatJSON {
					return report.WriteJSON(p.out, rows)
				}
				return mapping.Table(rows).CSV(p.out)
			})
		},
	})
}

func (p *program) mappingsImport() *cobra.Command {
	var unchecked bool
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Set many mappings together, all or none (CSV or JSON; - reads standard input)",
		Long: "Sets every mapping of a file, or none: if the file has a mistake, nothing changes.\n" +
			"Mappings that the file does not name stay. The file is CSV with the headings\n" +
			"billing_plan_id and enhance_plan_id, or a JSON list of objects with these names, as\n" +
			"export writes them. billing_provider may be there, and the options of a mapping:\n" +
			"websites, server_group, server_group_by_order, php_version, app, onboarding and\n" +
			"grace_period. An option that the file does not have stays as it is, and an empty\n" +
			"cell removes it.",
		Args: arguments("FILE"),
		Example: "  stripe-enhance mappings import mappings.csv\n" +
			"  stripe-enhance mappings export -o json | ssh other stripe-enhance mappings import -",
		RunE: func(c *cobra.Command, args []string) error {
			return p.importMappings(c.Context(), args[0], unchecked)
		},
	}
	c.Flags().BoolVar(&unchecked, "unchecked", false, "skip the checks at Stripe and Enhance")
	return c
}

func (p *program) importMappings(ctx context.Context, file string, unchecked bool) error {
	text, err := p.read(file)
	if err != nil {
		return err
	}
	return p.withSides(ctx, unchecked, func(ctx context.Context, a *app.App) error {
		stands, err := a.Store.Mappings(ctx)
		if err != nil {
			return err
		}
		all, err := mapping.Parse(text, stands)
		if err != nil {
			return fmt.Errorf("%s: nothing was imported:\n%w", file, err)
		}
		if err := a.VerifyMappings(ctx, all...); err != nil {
			return err
		}
		if err := a.Store.ImportMappings(ctx, all, p.person(), p.now()); err != nil {
			return err
		}
		if p.format == formatJSON {
			return report.WriteJSON(p.out, map[string]int{"imported": len(all)})
		}
		return p.printf("%s set\n", report.Count(len(all), "mapping"))
	})
}

func (p *program) read(file string) ([]byte, error) {
	from := p.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxImport+1))
	if err == nil && len(text) > maxImport {
		err = fmt.Errorf("%s is larger than %d MiB, so it is not a list of mappings", file, maxImport>>20)
	}
	return text, err
}

package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func (p *program) migrateCommand() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database up to date",
		Long: "Applies the database migrations that are missing. Every command that needs the\n" +
			"database does the same at start, unless AUTO_MIGRATE=false.",
		GroupID: groupSetUp,
		Example: "  stripe-enhance migrate --dry-run > migrations.sql\n" +
			"  DATABASE_URL=postgres://app@db.example.com/hosting stripe-enhance migrate",
		RunE: func(c *cobra.Command, _ []string) error { return p.migrate(c.Context(), dry) },
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only print the SQL")
	c.AddCommand(p.migrateCopyCommand(), p.importLegacyCommand())
	return c
}

type migrationDocument struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	SQL     string `json:"sql"`
}

type migrationsDocument struct {
	Dry        bool                `json:"dry"`
	Migrations []migrationDocument `json:"migrations"`
}

func (p *program) migrate(ctx context.Context, dry bool) (err error) {
	c, err := p.settings(0)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{URL: c.DatabaseURL, Failpoint: p.failpoint, Look: dry})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	done, err := s.Migrate(ctx, dry)
	if err != nil {
		return err
	}
	d := migrationsDocument{Dry: dry, Migrations: []migrationDocument{}}
	for _, m := range done {
		d.Migrations = append(d.Migrations, migrationDocument{m.Version, m.Name, m.SQL})
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, d)
	}
	return p.tellMigrations(d)
}

func (p *program) tellMigrations(d migrationsDocument) error {
	if len(d.Migrations) == 0 {
		p.sayf("the database is up to date")
		return nil
	}
	for _, m := range d.Migrations {
		var err error
		if d.Dry {
			err = p.printf("-- %s\n%s\n", m.Name, m.SQL)
		} else {
			err = p.printf("applied %s\n", m.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

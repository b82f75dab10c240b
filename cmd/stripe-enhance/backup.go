package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func (p *program) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write the SQLite database to a new file, while the service runs",
		Long: "Writes the database as it is at one moment to FILE, while other processes read and\n" +
			"write. FILE must not exist; it is readable by its owner alone, and it is there only\n" +
			"once it was synced to the disk, opened, and checked from the first page to the last.\n" +
			"To restore one, end the service, put the file in the place of the database, take away\n" +
			"the files -wal and -shm beside that, and run plan: marks at the panel and events show\n" +
			"what the restored database has forgotten, and until then nothing is taken away.\n\n" +
			"PostgreSQL has a program of its own for this, pg_dump: the command is shown.",
		GroupID: groupSetUp,
		Args:    arguments("FILE"),
		Example: "  stripe-enhance backup /var/backups/stripe-enhance.db",
		RunE:    func(c *cobra.Command, args []string) error { return p.backup(c.Context(), c.CommandPath(), args[0]) },
	}
}

type backupDocument struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	Schema int64  `json:"schema"`
	Tables int    `json:"tables"`
	Rows   int64  `json:"rows"`
}

func (p *program) backup(ctx context.Context, command, file string) error {
	c, err := p.settings(0)
	if err != nil {
		return err
	}
	if dump := store.DumpCommand(c.DatabaseURL, file); dump != "" {
		return &usageError{fmt.Errorf("the database is on a PostgreSQL server, which makes its own backups: %s", dump), command}
	}
	return p.asItIs(ctx, c, func(s *store.Store) error {
		b, err := s.Backup(ctx, file)
		if err != nil {
			return err
		}
		if p.format == formatJSON {
			return report.WriteJSON(p.out, backupDocument{b.File, b.Bytes, b.Schema, b.Tables, b.Rows})
		}
		return p.printf("%s: %s bytes, %s rows of %d tables, schema %d; checked\n", b.File, report.Number(int(b.Bytes)), report.Number(int(b.Rows)), b.Tables, b.Schema)
	})
}

// asItIs opens a database of SQLite that exists, without bringing it up to date: a backup is
// made before an upgrade.
func (p *program) asItIs(ctx context.Context, c *config.Config, do func(*store.Store) error) (err error) {
	if err := p.place().NoFile(c); err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{URL: c.DatabaseURL, Failpoint: p.failpoint})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

func (p *program) migrateCopyCommand() *cobra.Command {
	var to, toFile string
	c := &cobra.Command{
		Use:   "copy",
		Short: "Copy the SQLite database to an empty PostgreSQL",
		Long: "Copies everything from the SQLite database in DATABASE_URL to an empty database of\n" +
			"PostgreSQL, in one transaction: it is copied whole, or the target stays empty. Number\n" +
			"and content of the rows of each table are compared before it is committed, and shown.\n" +
			"End the service and every timer before: it is refused while one works. Afterwards set\n" +
			"DATABASE_URL to the new database, and start them again. The SQLite file stays as it\n" +
			"is; a service that is started with it again would work on the old state.",
		Example: "  stripe-enhance migrate copy --to postgres://stripe_enhance:PASSWORD@127.0.0.1/stripe_enhance\n" +
			"  stripe-enhance migrate copy --to-file /run/secrets/database_url",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.migrateCopy(c.Context(), c.CommandPath(), to, toFile)
		},
	}
	c.Flags().StringVar(&to, "to", "", "URL of the empty database, postgres://…; all users of the machine can see it in the process list")
	c.Flags().StringVar(&toFile, "to-file", "", "a file with that URL")
	return c
}

type copiedDocument struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Hash  string `json:"hash"`
}

func (p *program) migrateCopy(ctx context.Context, command, to, toFile string) (err error) {
	url, err := targetURL(to, toFile)
	if err != nil {
		return &usageError{err, command}
	}
	if store.DumpCommand(url, "") == "" {
		return &usageError{errors.New("--to is not a URL of PostgreSQL like postgres://user:password@host/database"), command}
	}
	c, err := p.settings(0)
	if err != nil {
		return err
	}
	if store.DumpCommand(c.DatabaseURL, "") != "" {
		return &usageError{errors.New("DATABASE_URL names a database of PostgreSQL already; it is one of SQLite that is copied"), command}
	}
	return p.asItIs(ctx, c, func(s *store.Store) (err error) {
		target, err := store.Open(ctx, store.Options{URL: url})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, target.Close()) }()
		if version, err := target.Version(ctx); err != nil {
			return err
		} else if version == 0 {
			if _, err := target.Migrate(ctx, false); err != nil {
				return err
			}
		}
		all, err := s.Copy(ctx, target, url, p.owner(), p.now())
		if err != nil {
			return err
		}
		return p.printCopied(all)
	})
}

// targetURL is the URL that one of the two flags gives.
func targetURL(to, file string) (secret.Text, error) {
	switch {
	case (to == "") == (file == ""):
		return secret.Text{}, errors.New("one of --to and --to-file names the empty database")
	case to != "":
		return secret.New(to), nil
	}
	url, err := secret.ReadFile(file)
	return secret.New(url), err
}

func (p *program) printCopied(all []store.CopiedTable) error {
	documents := make([]copiedDocument, len(all))
	for i, one := range all {
		documents[i] = copiedDocument{one.Name, one.Rows, one.Hash}
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"tables": documents})
	}
	for _, d := range documents {
		if err := p.printf("%-20s %10d rows  %s  the same in both\n", d.Table, d.Rows, d.Hash); err != nil {
			return err
		}
	}
	p.sayf("copied. Set DATABASE_URL to the new database before the next run")
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// beginning is what a command does where there is no database.
type beginning uint8

const (
	// refuses: it makes none. Where a .env says that this is the place, it answers
	// from an empty one in memory and says so; elsewhere it says where it looked.
	refuses beginning = iota
	// supposes is refuses, and does with an empty one also where DATABASE_URL names a
	// file that is not there: it looks at both sides anyway.
	supposes
	// begins makes one where a .env or DATABASE_URL says that this is the place.
	begins
	// makes: one is made wherever the command is given.
	makes
)

// beginningOf are the commands that do not refuse. What is not here only reads, or
// changes what has to be there already.
var beginningOf = map[string]beginning{
	"":                               makes, // parts put together without a command, by tests
	"stripe-enhance serve":           makes,
	"stripe-enhance reconcile":       makes,
	"stripe-enhance migrate":         makes,
	"stripe-enhance demo":            makes, // in a folder of its own
	"stripe-enhance mappings set":    begins,
	"stripe-enhance mappings import": begins,
	"stripe-enhance holds add":       begins,
	"stripe-enhance plan":            supposes,
}

// dotEnvs are the .env of the working directory, and the one beside the program.
func dotEnvs() []string {
	all := []string{".env"}
	program, err := os.Executable()
	if err != nil {
		return all
	}
	if real, err := filepath.EvalSymlinks(program); err == nil {
		program = real
	}
	return append(all, filepath.Join(filepath.Dir(program), ".env"))
}

// dotEnv is the file of settings that counts; "" when there is none. One beside the
// program that is another user's is passed over: who runs a program from /tmp has not
// chosen the .env that lies there.
func (p *program) dotEnv() string {
	for i, path := range p.dotEnvs {
		if config.IsDotEnv(path) && (i == 0 || config.Ours(path)) {
			return path
		}
	}
	return ""
}

// settingsFrom says which file of settings counts.
func (p *program) settingsFrom() string {
	if path := p.dotEnv(); path != "" {
		return "settings are read from " + absolute(path)
	}
	return "there is " + p.noDotEnv()
}

// noDotEnv says where a file of settings was looked for.
func (p *program) noDotEnv() string {
	var looked []string
	for _, path := range p.dotEnvs {
		word := absolute(path)
		if config.IsDotEnv(path) {
			word += ", which is another user's and not read"
		}
		looked = append(looked, word)
	}
	return "no .env (looked for " + strings.Join(looked, " and ") + ")"
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// nowhereError is a command given in a place that has nothing of an installation.
type nowhereError struct{ text string }

func (e *nowhereError) Error() string { return e.text }

// openExisting opens the database. Where there is none and the command makes none, the
// store is nil: no file is made, and no table.
func (p *program) openExisting(ctx context.Context, c *config.Config) (*store.Store, error) {
	does := beginningOf[p.command]
	if does == begins && (c.DatabaseFrom != config.SourceDefault || p.dotEnv() != "") {
		does = makes
	}
	if file := store.File(c.DatabaseURL); does != makes && file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	s, err := store.Open(ctx, store.Options{URL: c.DatabaseURL, Failpoint: p.failpoint})
	if err != nil || does == makes {
		return s, err
	}
	version, err := s.Version(ctx)
	if err != nil || version == 0 {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// standIn is an empty database in memory, where the place is right and nothing has run
// yet. Everywhere else it says where was looked, because the installation is elsewhere.
func (p *program) standIn(ctx context.Context, c *config.Config, err error) (*store.Store, error) {
	if err != nil {
		return nil, err
	}
	explicit := c.DatabaseFrom == config.SourceEnvironment || c.DatabaseFrom == config.SourceFlag
	does := beginningOf[p.command]
	if explicit && does != supposes || !explicit && p.dotEnv() == "" {
		return nil, p.nowhere(c)
	}
	p.sayf("%s: nothing has run here yet, and this command makes no database", missing(c))
	s, err := store.Open(ctx, store.Options{URL: secret.New("sqlite::memory:")})
	if err != nil {
		return nil, err
	}
	if _, err := s.Migrate(ctx, false); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// missing says which database is not there.
func missing(c *config.Config) string {
	if file := store.File(c.DatabaseURL); file != "" {
		return "there is no database " + file
	}
	return "the PostgreSQL database that DATABASE_URL names has no tables of stripe-enhance"
}

func (p *program) nowhere(c *config.Config) error {
	short := strings.TrimPrefix(p.command, "stripe-enhance ")
	if c.DatabaseFrom != config.SourceDefault {
		return &nowhereError{fmt.Sprintf("%s (DATABASE_URL is set %s), and `%s` makes none. Set DATABASE_URL to that of the installation; "+
			"a new one begins with `stripe-enhance migrate`", missing(c), c.DatabaseFrom, short)}
	}
	return &nowhereError{fmt.Sprintf("this is not the directory of an installation: %s, %s, and DATABASE_URL is not set. `%s` makes no database here. "+
		"Go to the directory of the installation, or set DATABASE_URL; a new one begins here with a .env, or with `stripe-enhance migrate`",
		missing(c), p.noDotEnv(), short)}
}

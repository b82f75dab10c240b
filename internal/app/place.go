package app

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

// IfMissing is what a command does if there is no database.
type IfMissing uint8

const (
	// Refuse creates none. If a .env shows that this is the right directory, the command
	// answers from an empty database in memory, with a line that explains it; elsewhere it
	// fails with the places where it looked.
	Refuse IfMissing = iota
	// Suppose is Refuse, but also takes an empty database in memory if DATABASE_URL names a
	// file that does not exist: the command reads both sides anyway.
	Suppose
	// CreateHere creates one if a .env or DATABASE_URL shows that this is the right place.
	CreateHere
	// Create creates one wherever the command is given.
	Create
)

// Place is where a command was given, and which command.
type Place struct {
	Command string // "stripe-enhance mappings list"
	// DotEnvs are where a file with settings is looked for; the first that exists counts.
	DotEnvs   []string
	IfMissing IfMissing
}

// DotEnvs are the .env of the working directory, and the one beside the program.
func DotEnvs() []string {
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

// DotEnv is the file of settings that counts; "" if there is none. One beside the program
// that belongs to another user does not count: a person who runs a program from /tmp has
// not chosen the .env that lies there.
func (p Place) DotEnv() string {
	for i, path := range p.DotEnvs {
		if config.IsDotEnv(path) && (i == 0 || config.Ours(path)) {
			return path
		}
	}
	return ""
}

// SettingsFrom names the file of settings that counts, as a sentence.
func (p Place) SettingsFrom() string {
	if path := p.DotEnv(); path != "" {
		return "settings are read from " + absolute(path)
	}
	return "there is " + p.noDotEnv()
}

// noDotEnv lists where a file of settings was looked for.
func (p Place) noDotEnv() string {
	var looked []string
	for _, path := range p.DotEnvs {
		one := absolute(path)
		if config.IsDotEnv(path) {
			one += ", which belongs to another user and is not read"
		}
		looked = append(looked, one)
	}
	return "no .env (looked for " + strings.Join(looked, " and ") + ")"
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// WrongPlaceError is a command given in a place that has nothing of an installation.
type WrongPlaceError struct{ text string }

func (e *WrongPlaceError) Error() string { return e.text }

// Open opens the database and, where the command may, creates and migrates it.
func (a *App) Open(ctx context.Context, p Place) error {
	s, err := a.openExisting(ctx, p)
	if err != nil {
		return err
	}
	if s == nil {
		a.Store, err = a.standIn(ctx, p)
		return err
	}
	if err := migrated(ctx, s, a.Config.AutoMigrate); err != nil {
		return errors.Join(err, s.Close())
	}
	risks, err := s.Durability(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	for _, r := range risks {
		a.Printf("warning: the database's server has %s: %s; %s", r.Setting, r.Harm, r.Remedy)
	}
	a.Store = s
	return nil
}

func migrated(ctx context.Context, s *store.Store, auto bool) error {
	if auto {
		_, err := s.Migrate(ctx, false)
		return err
	}
	pending, err := s.Pending(ctx)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("the database lacks %d migrations and AUTO_MIGRATE is false: run `stripe-enhance migrate` (with --dry-run to see them first)", len(pending))
	}
	return err
}

// openExisting opens the database. If there is none and the command creates none, the
// store is nil: no file is made, and no table.
func (a *App) openExisting(ctx context.Context, p Place) (*store.Store, error) {
	does := p.IfMissing
	if does == CreateHere && (a.Config.DatabaseFrom != config.SourceDefault || p.DotEnv() != "") {
		does = Create
	}
	if file := store.File(a.Config.DatabaseURL); does != Create && file != "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	s, err := store.Open(ctx, store.Options{URL: a.Config.DatabaseURL, Failpoint: a.Failpoint, Secured: a.database.see})
	if err != nil || does == Create {
		return s, err
	}
	version, err := s.Version(ctx)
	if err != nil || version == 0 {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// standIn is an empty database in memory, for the right place before the first run. In any
// other place it is an error with the places where the command looked, because the
// installation is elsewhere.
func (a *App) standIn(ctx context.Context, p Place) (*store.Store, error) {
	explicit := a.Config.DatabaseFrom == config.SourceEnvironment || a.Config.DatabaseFrom == config.SourceFlag
	if explicit && p.IfMissing != Suppose || !explicit && p.DotEnv() == "" {
		return nil, p.wrong(a.Config)
	}
	a.Printf("%s: nothing has run here yet, and this command creates no database", missing(a.Config))
	s, err := store.Open(ctx, store.Options{URL: secret.New("sqlite::memory:")})
	if err != nil {
		return nil, err
	}
	if _, err := s.Migrate(ctx, false); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// missing names the database that does not exist.
func missing(c *config.Config) string {
	if file := store.File(c.DatabaseURL); file != "" {
		return "there is no database " + file
	}
	return "the PostgreSQL database that DATABASE_URL names has no tables of stripe-enhance"
}

// NoFile is the error of a command that needs a database in a file that exists.
func (p Place) NoFile(c *config.Config) error {
	if _, err := os.Stat(store.File(c.DatabaseURL)); err != nil {
		return p.wrong(c)
	}
	return nil
}

func (p Place) wrong(c *config.Config) error {
	short := strings.TrimPrefix(p.Command, "stripe-enhance ")
	if c.DatabaseFrom != config.SourceDefault {
		return &WrongPlaceError{fmt.Sprintf("%s (DATABASE_URL is set %s), and `%s` creates none. Set DATABASE_URL to that of the installation; "+
			"a new one begins with `stripe-enhance migrate`", missing(c), c.DatabaseFrom, short)}
	}
	return &WrongPlaceError{fmt.Sprintf("this is not the directory of an installation: %s, %s, and DATABASE_URL is not set. `%s` creates no database here. "+
		"Go to the directory of the installation, or set DATABASE_URL; a new one begins here with a .env, or with `stripe-enhance migrate`",
		missing(c), p.noDotEnv(), short)}
}

// AsOwner is the command that root gives instead. It leaves out the flags, because one of
// them may be a key.
func (p Place) AsOwner(owner *store.OwnerError) string {
	return "run it as that user: sudo -u " + owner.User + " " + p.Command + " …"
}

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// BackedUp is a backup that was made and looked at.
type BackedUp struct {
	File   string
	Bytes  int64
	Schema int64 // the newest migration in it
	Tables int
	Rows   int64
}

// ErrBackupExists is the error of a backup whose name is taken: it never replaces a file.
var ErrBackupExists = errors.New("exists already, and a backup replaces no file: choose another name")

// Backup writes the database of SQLite to a new file, as it is at one moment, while other
// processes read and write. The file is whole or not there: it is made under another name,
// synced, opened, checked from the first page to the last, and named only then. It is
// readable by its owner alone, because it has the e-mails of all customers.
func (s *Store) Backup(ctx context.Context, path string) (b BackedUp, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return b, err
	}
	if s.d != sqlite || s.path == "" {
		return b, permanent("only a database of SQLite in a file can be backed up to a file")
	}
	if _, err := os.Lstat(path); err == nil {
		return b, permanent("%s %w", path, ErrBackupExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return b, permanent("%s cannot be written: %w", path, withoutPath(err))
	}
	part, err := emptyBeside(path)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, removeIfThere(part)) }()
	if err := s.writeInto(ctx, part); err != nil {
		return b, failed("writing "+part, advise(part, err))
	}
	if b, err = verify(ctx, part); err != nil {
		return b, fmt.Errorf("the backup is not good, and was taken away: %w", err)
	}
	if err := syncFile(part); err != nil {
		return b, err
	}
	b.File = path
	switch err := os.Link(part, path); { // unlike a renaming, it replaces nothing
	case errors.Is(err, fs.ErrExist):
		return b, permanent("%s %w", path, ErrBackupExists)
	case err != nil: // a file system without links
		if err := os.Rename(part, path); err != nil {
			return b, permanent("%s cannot be written: %w", path, withoutPath(err))
		}
	}
	return b, syncDirectory(filepath.Dir(path))
}

// writeInto writes what the database is at this moment into an empty file. It reads by a
// connection of its own, because those that only read may not write another file either; as
// a reader it keeps no writer waiting.
func (s *Store) writeInto(ctx context.Context, part string) (err error) {
	db, err := sql.Open("sqlite", fileDSN(s.path, false))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "VACUUM INTO $1", part)
	return err
}

// emptyBeside makes an empty file for its owner alone, in the directory of a path.
func emptyBeside(path string) (string, error) {
	var random [6]byte
	_, _ = rand.Read(random[:])
	part := path + ".part-" + hex.EncodeToString(random[:])
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", permanent("%s cannot be written: %w", path, withoutPath(err))
	}
	return part, f.Close()
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// verify opens a backup as a database that cannot be changed, checks all of it, and counts
// its rows.
func verify(ctx context.Context, path string) (b BackedUp, err error) {
	u := url.URL{Scheme: "file", Path: path}
	s := &Store{d: sqlite}
	if s.read, err = sql.Open("sqlite", u.String()+"?mode=ro&immutable=1&_query_only=1"); err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, s.read.Close()) }()
	s.write = s.read
	c := conn{q: s.read, d: s.d}
	found, err := c.strings(ctx, "SELECT integrity_check FROM pragma_integrity_check LIMIT 5")
	if err != nil {
		return b, err
	}
	if len(found) != 1 || found[0] != "ok" {
		return b, permanent("it is damaged: %v", found)
	}
	wrong := 0
	switch _, err := c.one(ctx, "SELECT count(*) FROM pragma_foreign_key_check", nil, &wrong); {
	case err != nil:
		return b, err
	case wrong > 0:
		return b, permanent("%d of its rows refer to rows that are not there", wrong)
	}
	if b.Schema, err = s.Version(ctx); err != nil {
		return b, err
	}
	tables, err := c.strings(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
	if err == nil && b.Schema == 0 {
		err = permanent("it has no tables of this program")
	}
	if err != nil {
		return b, err
	}
	for _, table := range tables {
		n := int64(0)
		if _, err := c.one(ctx, "SELECT count(*) FROM "+table, nil, &n); err != nil {
			return b, err
		}
		b.Tables, b.Rows = b.Tables+1, b.Rows+n
	}
	info, err := os.Stat(path)
	if err == nil {
		b.Bytes = info.Size()
	}
	return b, err
}

// DumpCommand is how PostgreSQL's own program makes a backup of the database that a URL
// names; "": the URL is not one of PostgreSQL. It shows no password.
func DumpCommand(u secret.Text, file string) string {
	config, err := pgxpool.ParseConfig(u.Reveal())
	if err != nil || File(u) != "" {
		return ""
	}
	at := serverOf(config.ConnConfig.Config)
	return fmt.Sprintf("pg_dump -Fc %s -U %s -d %s -f %s", at.at(), quoted(at.user), quoted(at.database), quoted(file))
}

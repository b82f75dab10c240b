package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/stripe-enhance/stripe-enhance/migrations"
)

// versionTable is where goose records the migrations that it applied.
const versionTable = "goose_db_version"

// migrationLock is the key of the advisory lock that migrations of all replicas
// share; "enhance" in ASCII. It lasts for a transaction and is no session state.
const migrationLock = 0x656e68616e6365

// migrationPause is between two tries for that lock. Waiting inside the database
// would keep a connection from the process that has the lock and needs a second, and a
// pooler may have no more than two for all replicas together.
const migrationPause = 200 * time.Millisecond

// MigrationInfo is one migration.
type MigrationInfo struct {
	Version int64
	Name    string // "00001_initial.sql"
	SQL     string // as it stands in the file
}

// Migrate applies the pending migrations and returns them; with dryRun it only
// returns them. Several processes may call it together: one migrates, the others
// wait and find nothing left to do. Each migration is a transaction of its own.
func (s *Store) Migrate(ctx context.Context, dryRun bool) ([]MigrationInfo, error) {
	pending, err := s.Pending(ctx)
	if err != nil || dryRun || len(pending) == 0 {
		return pending, err
	}
	unlock, err := s.lockMigrations(ctx)
	if err != nil {
		return nil, failed("migrating", err)
	}
	applied, err := s.applyPending(ctx)
	return applied, failed("migrating", s.server.explain(errors.Join(err, unlock())))
}

// Schema is the version of the database that this program works with: the number of the
// newest migration that it knows, the same for both databases.
func Schema() int64 {
	all := (&Store{d: sqlite}).history()
	return all[len(all)-1].Version
}

// Pending lists the migrations that this database still lacks, in order. It is
// an error when the database has some that this program lacks.
func (s *Store) Pending(ctx context.Context) ([]MigrationInfo, error) {
	version, err := s.Version(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.refuseNewer(ctx); err != nil {
		return nil, failed("reading the version", err)
	}
	if version == 0 {
		if version, err = s.refuseForeign(ctx); err != nil {
			return nil, failed("reading the version", err)
		}
	}
	all := s.history()
	for i, m := range all {
		if m.Version > version {
			return all[i:], nil
		}
	}
	return nil, nil
}

// Version is the number of the newest migration applied; 0 for an empty database.
func (s *Store) Version(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	c := conn{q: s.read, d: s.d}
	exists := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
	if s.d == postgres {
		exists = "SELECT count(to_regclass($1))"
	}
	var tables int
	if _, err := c.one(ctx, exists, []any{versionTable}, &tables); err != nil {
		return 0, failed("reading the version", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var version int64
	_, err := c.one(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied", nil, &version)
	return version, failed("reading the version", err)
}

// refuseNewer is an error when the database was migrated by a later version that does not
// let this program work on it.
func (s *Store) refuseNewer(ctx context.Context) error {
	version, err := s.Version(ctx)
	newest := Schema()
	if err != nil || version <= newest {
		return err
	}
	switch needed, err := s.needed(ctx); {
	case err != nil:
		return err
	case needed > 0 && needed <= newest:
		return nil
	}
	return permanent("the database is at version %d and this program knows versions up to %d; nothing was changed: "+
		"use the newer program that wrote it, or restore a backup from before the upgrade", version, newest)
}

// onlyAdds is the line of a migration after which the programs of before may begin as well;
// package migrations has the conditions.
const onlyAdds = "\n-- only adds\n"

// neededCursor has the version that a program needs to know in order to work on the database:
// that of the newest migration which does more than add. A program with a migration that is
// pending records it.
const neededCursor = "needed_version"

// neededBy is that version after all of these migrations.
func neededBy(all []MigrationInfo) (version int64) {
	for _, m := range all {
		if !strings.Contains(m.SQL, onlyAdds) {
			version = m.Version
		}
	}
	return version
}

// needed reads it; 0: there is none, because the program that migrated knows of no such
// version, or because it has not come to recording it.
func (s *Store) needed(ctx context.Context) (version int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	var text string
	if found, err := s.reader().one(ctx, "SELECT value FROM cursors WHERE name = $1", []any{neededCursor}, &text); err != nil || !found {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

func (s *Store) recordNeeded(ctx context.Context) error {
	return s.unfenced(ctx, "recording which programs may begin", func(ctx context.Context, tx conn) error {
		return setCursor(ctx, tx, neededCursor, strconv.FormatInt(neededBy(s.history()), 10))
	})
}

// refuseForeign is an error when a database without a migration of ours has tables with our
// names: those of another program, such as the functions on Vercel, whose DATABASE_URL is
// easily kept. Another process may have migrated since the version was read, and then the
// tables are ours: so the version is read again, after the tables, and returned.
func (s *Store) refuseForeign(ctx context.Context) (version int64, err error) {
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if s.d == postgres {
		query = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	s.failpoint("before", "reading the tables")
	there, err := s.reader().strings(ctx, query)
	if err != nil {
		return 0, err
	}
	if version, err = s.Version(ctx); err != nil || version > 0 {
		return version, err
	}
	var foreign []string
	for i := range personals {
		if slices.Contains(there, personals[i].table) {
			foreign = append(foreign, personals[i].table)
		}
	}
	if len(foreign) == 0 {
		return 0, nil
	}
	return 0, permanent("the database in DATABASE_URL has tables of another program (%s), and none of this one; nothing was changed: "+
		"name an empty database, which may be on the same server. If they are those of the functions on Vercel, "+
		"`stripe-enhance migrate import-legacy` takes over the mappings and hostings in them", strings.Join(foreign, ", "))
}

func (s *Store) applyPending(ctx context.Context) ([]MigrationInfo, error) {
	pending, err := s.Pending(ctx) // again: another process may have been faster
	if err != nil || len(pending) == 0 {
		return nil, err
	}
	goDialect := goose.DialectSQLite3
	if s.d == postgres {
		goDialect = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(goDialect, s.write, s.files(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, err
	}
	// It comes before the migrations, or a program that they shut out could begin between.
	// An empty database has no table for it, and no program that works on it.
	empty := pending[0].Version == s.history()[0].Version
	if !empty {
		if err := s.recordNeeded(ctx); err != nil {
			return nil, err
		}
	}
	s.failpoint("before-commit", "migrating")
	if _, err := provider.Up(ctx); err != nil {
		return nil, err
	}
	s.failpoint("after-commit", "migrating")
	if empty {
		err = s.recordNeeded(ctx)
	}
	return pending, err
}

// lockMigrations keeps other processes from migrating until unlock is called.
func (s *Store) lockMigrations(ctx context.Context) (unlock func() error, err error) {
	if s.d == sqlite {
		if s.path == "" {
			return func() error { return nil }, nil
		}
		// A file of its own: the lease's may be held for hours.
		l := newFileLock(s.path + ".migrate.lock")
		return l.close, l.wait()
	}
	for {
		tx, err := s.write.BeginTx(ctx, &sql.TxOptions{})
		if err != nil {
			return nil, err
		}
		var got bool
		_, err = conn{q: tx, d: s.d}.one(ctx, "SELECT pg_try_advisory_xact_lock($1)", []any{int64(migrationLock)}, &got)
		if err == nil && got {
			return func() error { return rollback(tx) }, nil
		}
		if err := errors.Join(err, rollback(tx)); err != nil {
			return nil, err
		}
		pause(ctx, migrationPause)
	}
}

func (s *Store) files() fs.FS {
	if s.d == postgres {
		return migrations.Postgres()
	}
	return migrations.SQLite()
}

// history lists all migrations this program knows, in order; never empty. They are a
// part of the program, whose tests read them too, so reading them does not fail.
func (s *Store) history() []MigrationInfo {
	names, _ := fs.Glob(s.files(), "*.sql")
	all := make([]MigrationInfo, 0, len(names))
	for _, name := range names { // Glob sorts, and the numbers have leading zeros
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, _ := strconv.ParseInt(number, 10, 64)
		text, _ := fs.ReadFile(s.files(), name)
		all = append(all, MigrationInfo{Version: version, Name: name, SQL: string(text)})
	}
	return all
}

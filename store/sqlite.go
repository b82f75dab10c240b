package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	_ "modernc.org/sqlite" // the driver

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// memory is the path of a database without a file.
const memory = ":memory:"

// defaultReaders is enough for a run, the web side and a person at the shell.
const defaultReaders = 4

// sqliteHeader begins every SQLite file (sqlite.org/fileformat.html, 1.3).
const sqliteHeader = "SQLite format 3\x00"

// openSQLite opens the file at path, creating it when it does not exist.
func openSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	if name, ok := strings.CutPrefix(path, memory); ok {
		return openMemory(ctx, name)
	}
	if path == "" {
		return nil, permanent("sqlite: needs a path, as in sqlite:stripe-enhance.db")
	}
	if strings.Contains(path, "?") { // what follows may be meant to weaken a setting, or hold a key: it is not shown
		return nil, permanent("sqlite: takes a path and no parameters: leave out the ? and what follows it")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := refuseAsRoot(path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); o.Look && errors.Is(err, fs.ErrNotExist) {
		if err := couldBeMade(path); err != nil {
			return nil, err
		}
		return openMemory(ctx, "")
	}
	if err := prepareFile(ctx, path); err != nil {
		return nil, err
	}
	s := &Store{d: sqlite, path: path, lock: newFileLock(path + ".lock")}
	s.close = append(s.close, s.lock.close)
	dsn := fileDSN(path, false)
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		dsn = givingBack(dsn)
	}
	if s.write, s.writing, err = s.connect(ctx, dsn, 1, "wal"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	readers := o.ReadConnections
	if readers < 1 {
		readers = defaultReaders
	}
	if s.read, s.reading, err = s.connect(ctx, fileDSN(path, true), readers, "wal"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// couldBeMade tries with a file of another name, which it takes away again.
func couldBeMade(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".check-")
	var place *fs.PathError
	if errors.As(err, &place) {
		return permanent("%s cannot be made: %w; check the owner and mode of its directory", path, place.Err)
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// memories numbers the nameless databases in memory.
var memories atomic.Int64

// openMemory opens a database that has no file. One connection serves reads and
// writes; a second one, idle, keeps the database alive when the first is dropped.
func openMemory(ctx context.Context, name string) (*Store, error) {
	if name == "" {
		name = "unnamed " + strconv.FormatInt(memories.Add(1), 10)
	}
	dsn := "file:/" + url.PathEscape(name) + "?vfs=memdb&" + parameters("memory", false)
	s := &Store{d: sqlite}
	anchor, _, err := s.connect(ctx, dsn, 1, "memory")
	if err != nil {
		return nil, err
	}
	if s.write, s.writing, err = s.connect(ctx, dsn, 1, "memory"); err != nil {
		return nil, errors.Join(err, anchor.Close())
	}
	s.read, s.reading = s.write, s.writing
	return s, nil
}

// fileDSN is the driver's name for a database file. The path is escaped, so that
// no character in it is read as a parameter.
func fileDSN(path string, readOnly bool) string {
	u := url.URL{Scheme: "file", Path: path}
	return u.String() + "?" + parameters("WAL", readOnly)
}

// givingBack is the name of a new file from which pages can be given back, see giveBack. That
// counts for a file without tables alone, comes before whatever writes into it, and is not
// asked of a file that exists, because it would be written.
func givingBack(dsn string) string {
	return strings.Replace(dsn, "&_pragma=journal_mode", "&_pragma=auto_vacuum(INCREMENTAL)&_pragma=journal_mode", 1)
}

// parameters are the driver's parameters. synchronous(FULL) is what makes a
// committed intent survive a power cut in WAL mode; _txlock=immediate takes the
// write lock at BEGIN, because a reader that turns writer midway fails without waiting,
// whatever busy_timeout is. Each connection has a small cache of its own; the system
// caches the file once for all of them.
func parameters(journal string, readOnly bool) string {
	p := "_pragma=busy_timeout(10000)&_pragma=journal_mode(" + journal + ")&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)" +
		"&_dqs=0&_time_integer_format=unix_micro"
	if readOnly {
		return p + "&_query_only=1&_pragma=cache_size(-4096)"
	}
	return p + "&_txlock=immediate&_pragma=cache_size(-16384)"
}

// connect opens a pool and reads the settings back, because the driver ignores
// parameters that it does not know.
func (s *Store) connect(ctx context.Context, dsn string, connections int, journal string) (*sql.DB, *compiled, error) {
	pool, err := newCompiled("sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	db := sql.OpenDB(pool)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s.close = append([]func() error{db.Close}, s.close...)
	want := map[string]string{
		"journal_mode": journal, "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	}
	for name, value := range want {
		var have string
		if err := db.QueryRowContext(ctx, "PRAGMA "+name).Scan(&have); err != nil {
			return nil, nil, explain(s.path, err)
		}
		if have != value {
			return nil, nil, permanent("%s: PRAGMA %s is %q and not %q: is the file on a network or overlay file system?", s.path, name, have, value)
		}
	}
	return db, pool, nil
}

// prepareFile makes sure that path is a SQLite database that may be written, or
// an empty file, before the driver touches it.
func prepareFile(ctx context.Context, path string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil {
		return permanent("the directory of %s: %w; create it, or choose another path in DATABASE_URL", path, err)
	} else if !info.IsDir() {
		return permanent("%s is not a directory; choose another path in DATABASE_URL", filepath.Dir(path))
	}
	if kind := networkFS(filepath.Dir(path)); kind != "" {
		return permanent("%s is on %s, where SQLite's locks do not hold; use a local disk, or PostgreSQL", path, kind)
	}
	if err := refuseUnwritable(path); err != nil {
		return err
	}
	_, absent := os.Stat(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return permanent("%w; the database file must be writable by this user", err)
	}
	defer f.Close()
	if absent != nil {
		if err := syncDirectory(filepath.Dir(path)); err != nil {
			return err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return permanent("%s is not a regular file", path)
	}
	if info.Size() == 0 {
		return nil
	}
	head := make([]byte, len(sqliteHeader))
	if _, err := io.ReadFull(f, head); err != nil || string(head) != sqliteHeader {
		return permanent("%s exists and is not a SQLite database; nothing was changed: choose another path in DATABASE_URL", path)
	}
	return refuseForeign(ctx, path)
}

// syncDirectory makes the name of a new file durable. SQLite does so for its journals
// and not for the database itself, which would be gone after a power cut with all that
// was committed to it.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return permanent("%w; the directory of the database must be readable by this user", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// refuseForeign looks into an existing database without changing it, its journal
// mode included: one that holds tables, but never saw a migration of ours, is
// another program's.
func refuseForeign(ctx context.Context, path string) error {
	u := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", u.String()+"?mode=rw&_pragma=busy_timeout(10000)&_query_only=1")
	if err != nil {
		return err
	}
	defer db.Close()
	var ours, others int
	err = db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE name = $1), count(*) FILTER (WHERE name <> $1)
		FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`, versionTable).Scan(&ours, &others)
	if err != nil {
		return explain(path, err)
	}
	if ours == 0 && others > 0 {
		return permanent("%s is a SQLite database of something else; nothing was changed: choose another path in DATABASE_URL", path)
	}
	return nil
}

// explain adds to an error of the driver what to do about the file.
func explain(path string, err error) error {
	var lite sqliteError
	if path == "" || !errors.As(err, &lite) {
		return err
	}
	switch {
	case strings.Contains(err.Error(), "readonly"):
		return permanent("%s cannot be written: %w; check the owner and mode of the file and its directory", path, err)
	case errors.Is(err, fs.ErrPermission):
		return permanent("%s: %w; check the owner and mode of the file and its directory", path, err)
	}
	return advise(path, fmt.Errorf("%s: %w", path, err))
}

// OwnerError is a database in the directory of another user, opened by root: what root
// leaves there (the file, -wal, -shm, .lock) the service of that user cannot open.
type OwnerError struct {
	Path string // what belongs to the other user
	User string // as sudo -u takes it in a shell: a name, or '#1000' in quotes
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to %s, and this is root: files that root leaves there would keep that user's service from working; nothing was made", e.Path, e.User)
}

// besideDatabase are the files that may lie beside a database, itself included.
func besideDatabase(path string) []string {
	return []string{path, path + "-wal", path + "-shm", path + ".lock", path + ".migrate.lock"}
}

// refuseAsRoot is an error if root opens the files of another user.
func refuseAsRoot(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, one := range append([]string{filepath.Dir(path)}, besideDatabase(path)...) {
		info, err := os.Stat(one)
		if err != nil {
			continue // it is not there, so it has no owner
		}
		if uid, ok := ownerOf(info); ok && uid != 0 {
			return fault.Wrap(fault.Permanent, &OwnerError{Path: one, User: userOf(uid)})
		}
	}
	return nil
}

// refuseUnwritable names the files this user may not write, their owner, and the commands that
// mend it. Each file counts: a service works for hours before it needs the last one.
func refuseUnwritable(path string) error {
	var wrong, ours, others []string
	for _, one := range append([]string{filepath.Dir(path)}, besideDatabase(path)...) {
		err := writable(one)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, syscall.EROFS):
			return permanent("the disk of %s is mounted read-only: mount it for writing (mount -o remount,rw …), or choose another place in DATABASE_URL", one)
		}
		whose, of := "", &others
		if info, err := os.Stat(one); err == nil {
			if uid, ok := ownerOf(info); ok {
				whose = fmt.Sprintf(" belongs to %s (mode %04o)", userOf(uid), info.Mode().Perm())
				if uid == os.Geteuid() {
					of = &ours
				}
			}
		}
		*of = append(*of, one)
		wrong = append(wrong, one+whose)
	}
	if len(wrong) == 0 {
		return nil
	}
	me, ways := userOf(os.Geteuid()), []string{}
	if len(others) > 0 {
		ways = append(ways, "sudo chown "+strings.Trim(me, "'#")+" "+strings.Join(others, " "))
	}
	if len(ours) > 0 {
		ways = append(ways, "chmod u+rwX "+strings.Join(ours, " "))
	}
	return permanent("%s, and this process runs as %s, which may not write there: %s", strings.Join(wrong, ", "), me, strings.Join(ways, "; "))
}

// userOf is the name of a user as sudo -u takes it in a shell.
func userOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return u.Username
	}
	return "'#" + strconv.Itoa(uid) + "'"
}

// rewrite writes the file of SQLite anew and empties its log, so that neither has remains of
// former values: SQLite leaves a deleted value where it was until the place is used again. It
// returns the obstacle; "": none. It needs as much memory as the file is long.
//
// PostgreSQL writes a new version of a row, and autovacuum removes the old one.
func (s *Store) rewrite(ctx context.Context) string {
	if s.d != sqlite || s.path == "" {
		return ""
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err().Error()
	}
	if _, err := s.write.ExecContext(ctx, "VACUUM"); err != nil {
		return advise(s.path, err).Error()
	}
	busy := 0
	c := conn{s.write, s.d}
	var log, moved int
	if _, err := c.one(ctx, "PRAGMA wal_checkpoint(TRUNCATE)", nil, &busy, &log, &moved); err != nil {
		return err.Error()
	}
	if busy != 0 {
		return "another process is reading the database"
	}
	return ""
}

// Package migrations carries the database's history as SQL, one folder for each
// database, and nothing else.
//
// Migrations go forward only and are never edited once released: a mistake is
// mended by the next number. Both folders hold the same tables and columns with
// the same nullability; types differ (TIMESTAMPTZ and INTEGER microseconds, JSONB
// and TEXT, BOOLEAN and INTEGER), because each database is best read with its own
// shell in its own types. Package store tests that they agree.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Postgres is the history for PostgreSQL, the numbered files at its root.
func Postgres() fs.FS { return folder("postgres") }

// SQLite is the history for SQLite, the numbered files at its root.
func SQLite() fs.FS { return folder("sqlite") }

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the name is a constant above: only a broken build gets here
	}
	return sub
}

// Package migrations carries the database's history as SQL, one folder for each
// database, and nothing else.
//
// Migrations go forward only and are never edited once released: a mistake is
// mended by the next number. Both folders hold the same tables and columns with
// the same nullability; types differ (TIMESTAMPTZ and INTEGER microseconds, JSONB
// and TEXT, BOOLEAN and INTEGER), because each database is best read with its own
// shell in its own types. Package store tests that they agree.
//
// No migration takes away what the version before, which may be at work meanwhile, reads or
// writes: that takes two releases. If the line "-- only adds" stands in a migration, programs
// of before may begin on the database as well, for a rolling update and for the way back.
// It is true if all of this is:
//
//   - there are only new tables, new columns that may be left out, and new indexes that
//     refuse no row;
//   - a row that the new program writes is read rightly by the old one: no new kind, state or
//     word in a column that the old one reads;
//   - what is new holds nothing that the old program has to heed before it takes something
//     away, and nothing about a person that it has to erase.
//
// Without the line, a program of before that begins is refused with a sentence.
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

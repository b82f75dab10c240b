package simtest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	sqlitedriver "modernc.org/sqlite"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// database is one SQLite database in memory. It lives until close is called, whichever
// processes open and close it before.
type database struct {
	name   string
	anchor driver.Conn
}

var databases atomic.Int64 // numbers them

// migrated is an empty database of the present version, made once: migrating
// costs more than most scenarios.
var migrated = sync.OnceValues(func() (*store.Store, error) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: secret.New("sqlite::memory:scenario template")})
	if err != nil {
		return nil, err
	}
	_, err = s.Migrate(ctx, false)
	return s, err
})

// fresh is an empty, migrated database.
func fresh() (*database, error) {
	if _, err := migrated(); err != nil {
		return nil, err
	}
	return copyOf("scenario template")
}

// copy returns a second database with the content that this one has now.
func (d *database) copy() (*database, error) { return copyOf(d.name) }

func copyOf(name string) (*database, error) {
	db, err := sql.Open("sqlite", memoryDSN(name))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	c, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	d := &database{name: fmt.Sprintf("scenario %d", databases.Add(1))}
	err = c.Raw(func(conn any) error {
		b, err := conn.(interface {
			NewBackup(string) (*sqlitedriver.Backup, error)
		}).NewBackup(memoryDSN(d.name))
		if err != nil {
			return err
		}
		for more := true; more; {
			if more, err = b.Step(-1); err != nil {
				return err
			}
		}
		d.anchor, err = b.Commit()
		return err
	})
	return d, err
}

// memoryDSN is how the store names a database in memory that can be shared.
func memoryDSN(name string) string { return "file:/" + url.PathEscape(name) + "?vfs=memdb" }

func (d *database) url() secret.Text { return secret.New("sqlite::memory:" + d.name) }

func (d *database) close() {
	if d != nil {
		_ = d.anchor.Close()
	}
}

package store

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// leaseName is the one lease there is: the right to write for a run.
const leaseName = "writer"

// acquireSQL acquires the lease if it is ours, expired, or belonged to a process that had
// the file lock which this one has now ($6). The token grows whenever the
// owner changes, and counted with it unless a process of an earlier version has had the
// lease meanwhile (see keptCounts).
const acquireSQL = `INSERT INTO leases (name, owner, token, expires_at, file_locked)
	VALUES ($1, $2, 1, $3, $4)
	ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at,
		file_locked = excluded.file_locked,
		counted = leases.counted + CASE WHEN leases.owner <> excluded.owner AND leases.counted = leases.token THEN 1 ELSE 0 END,
		token = leases.token + CASE WHEN leases.owner = excluded.owner THEN 0 ELSE 1 END
	WHERE leases.owner = excluded.owner OR leases.expires_at < $5 OR (leases.file_locked AND $6)
	RETURNING token, counted`

// Acquire acquires or renews the lease for owner until now+ttl. If another process
// has it, the token is 0, and heldBy and until are its owner and its end.
//
// On SQLite the lock file is taken too. If this process gets it fresh, the
// process that had it is gone, and the row need not expire first; a row whose owner did
// not have the lock file is respected until it expires.
func (s *Store) Acquire(ctx context.Context, owner string, now time.Time, ttl time.Duration) (tok reconcile.Token, heldBy string, until time.Time, err error) {
	const op = "acquiring the lease"
	if owner == "" {
		return 0, "", time.Time{}, failed(op, permanent("an owner needs a name"))
	}
	locked, fresh, err := s.lock.try()
	if err != nil {
		return 0, "", time.Time{}, failed(op, err)
	}
	var counted int64
	err = s.unfenced(ctx, op, func(ctx context.Context, tx conn) error {
		tok, heldBy, until, counted = 0, "", time.Time{}, 0
		var token int64
		args := []any{leaseName, owner, at(now.Add(ttl)), locked, at(now), fresh}
		found, err := tx.one(ctx, acquireSQL, args, &token, &counted)
		if err != nil || found {
			tok = reconcile.Token(token)
			return err
		}
		_, err = tx.one(ctx, "SELECT owner, expires_at FROM leases WHERE name = $1", []any{leaseName}, &heldBy, into(&until))
		return err
	})
	if err == nil && tok != 0 && counted == int64(tok) {
		s.countedFor.Store(counted)
	}
	if (err != nil || tok == 0) && fresh {
		err = errors.Join(err, failed(op, s.lock.close()))
	}
	return tok, heldBy, until, err
}

// Release gives the lease back. The token grows with it, so that nothing can be
// written afterwards with the old one. Releasing a lease that is no longer ours
// is fault.Fenced.
func (s *Store) Release(ctx context.Context, tok reconcile.Token) error {
	err := s.unfenced(ctx, "releasing the lease", func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE leases SET owner = '', token = token + 1, expires_at = $3, file_locked = FALSE,
			counted = counted + CASE WHEN counted = token THEN 1 ELSE 0 END WHERE name = $1 AND token = $2`, leaseName, int64(tok), at(time.Unix(0, 0)))
		if err == nil && n == 0 {
			return fault.Errorf(fault.Fenced, "token %d is no longer the lease's", tok)
		}
		return err
	})
	if err != nil {
		return err
	}
	return failed("releasing the lease", s.lock.close())
}

// fileLock is an advisory lock on a file of its own beside the database. The
// kernel drops it when the process ends, however it ends, which is what makes it
// better evidence of life than any time-out. The file itself stays: removing it
// would let two processes lock two files of one name. A nil *fileLock is a lock
// that no process gets: databases without a file have none.
type fileLock struct {
	path string
	mu   sync.Mutex // guards file
	file *os.File   // nil while the lock is not held
}

func newFileLock(path string) *fileLock { return &fileLock{path: path} }

// try takes the lock if it is free and reports whether it is held afterwards, and
// whether this call took it.
func (l *fileLock) try() (held, fresh bool, err error) {
	if l == nil {
		return false, false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return true, false, nil
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, false, err
	}
	got, err := lockFile(f, false)
	if err != nil || !got {
		return false, false, errors.Join(err, f.Close())
	}
	l.file = f
	return true, true, nil
}

// wait takes the lock, waiting for the process that has it.
func (l *fileLock) wait() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err := lockFile(f, true); err != nil {
		return errors.Join(err, f.Close())
	}
	l.file = f
	return nil
}

// close gives the lock back. Closing the file is what unlocks it.
func (l *fileLock) close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

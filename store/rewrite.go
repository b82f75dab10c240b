package store

import "context"

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

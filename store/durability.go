package store

import (
	"context"
	"strings"
)

// Risk is a setting of the database's server under which a commit may be lost, or the
// database itself, and which no transaction can change.
type Risk struct {
	Setting string // "fsync=off"
	Harm    string // when what is lost
	Remedy  string
	// Certain: there is no arrangement known to us under which it does no harm.
	Certain bool
}

// Durability looks for such settings. On SQLite there are none: opening fails when
// its settings cannot be had.
//
// Neon runs its PostgreSQL with fsync=off: there a commit waits for a majority of
// other machines that keep the log, which is what synchronous_commit then means.
func (s *Store) Durability(ctx context.Context) ([]Risk, error) {
	if s.d != postgres {
		return nil, nil
	}
	var fsync, pages, standbys, neon string
	err := s.query(ctx, "reading the server's settings", `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_standby_names'), coalesce(current_setting('neon.timeline_id', true), '')`, nil, func(row scan) error {
		return row(&fsync, &pages, &standbys, &neon)
	})
	if err != nil || neon != "" || strings.Contains(standbys, "walproposer") {
		return nil, err
	}
	const remedy = " in postgresql.conf of the database server, then SELECT pg_reload_conf()"
	var risks []Risk
	if fsync == "off" {
		risks = append(risks, Risk{Setting: "fsync=off", Certain: true, Remedy: "set fsync=on" + remedy,
			Harm: "when the database's machine crashes or loses power, what was recorded may be lost, and hostings are then made twice; the database itself may be damaged"})
	}
	if pages == "off" {
		risks = append(risks, Risk{Setting: "full_page_writes=off", Remedy: "set full_page_writes=on" + remedy,
			Harm: "when the database's machine crashes or loses power, the database may be damaged, unless its storage never writes half a page"})
	}
	return risks, nil
}

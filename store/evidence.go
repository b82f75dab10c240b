package store

import (
	"context"
	"hash/maphash"
	"slices"
	"time"
)

// KnownSubscriptions returns up to n subscriptions that are bound and known to Stripe, those
// bound longest first. Where nothing is bound, any that the mirror has will do.
func (s *Store) KnownSubscriptions(ctx context.Context, n int) ([]string, error) {
	const op = "choosing anchors"
	var ids []string
	take := func(row scan) error {
		var id string
		if err := row(&id); err != nil {
			return err
		}
		if len(ids) < n && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		return nil
	}
	// Several slots of one subscription lie together, so a small multiple of n
	// rows yields n subscriptions wherever there are that many, or nearly.
	query := `SELECT b.subscription_id FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id
		WHERE NOT s.gone ORDER BY b.bound_at, b.subscription_id LIMIT $1`
	err := s.query(ctx, op, query, []any{8 * n}, take)
	if err != nil || len(ids) > 0 {
		return ids, err
	}
	return ids, s.query(ctx, op, "SELECT id FROM subscriptions WHERE NOT gone ORDER BY id LIMIT $1", []any{n}, take)
}

// unlistedPage is how many ids of the mirror are compared with a sweep at once.
const unlistedPage = 20_000

// Unlisted compares the sweep under way with the mirror: up to limit ids of
// subscriptions, not gone and created before the instant, that were not staged,
// and how many there are in all. It is asked after the last page and before
// MergeSweep.
func (s *Store) Unlisted(ctx context.Context, before time.Time, limit int) (ids []string, total int, err error) {
	query := "SELECT id FROM subscriptions WHERE id > $1 AND NOT gone AND created_at < $2 ORDER BY id LIMIT $3"
	return s.unstaged(ctx, query, before, limit)
}

// Gone counts the subscriptions that were marked gone after the instant, and that
// neither were read since nor are staged by the sweep under way. The zero time
// counts all of them. It is asked when Unlisted is.
func (s *Store) Gone(ctx context.Context, since time.Time) (int, error) {
	// What is gone is read no more: read_at is when it was found gone.
	query := "SELECT id FROM subscriptions WHERE id > $1 AND gone AND read_at > $2 ORDER BY id LIMIT $3"
	_, n, err := s.unstaged(ctx, query, since, 0)
	return n, err
}

// unstaged pages through the ids of a query about an instant and finds those that
// were not staged.
func (s *Store) unstaged(ctx context.Context, query string, instant time.Time, limit int) (ids []string, total int, err error) {
	const op = "looking for what was not listed"
	for last := ""; ; {
		page := make([]string, 0, unlistedPage)
		err := s.query(ctx, op, query, []any{last, at(orEpoch(instant)), unlistedPage}, func(row scan) error {
			err := row(&last)
			page = append(page, last)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		missing, err := s.sweep.lacks(page)
		if err != nil {
			return nil, 0, failed(op, err)
		}
		total += len(missing)
		ids = append(ids, missing[:min(len(missing), limit-len(ids))]...)
		if len(page) < unlistedPage {
			return ids, total, nil
		}
	}
}

// lacks returns those of the ids that were not staged.
func (w *sweep) lacks(ids []string) (missing []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		return nil, errNoSweep
	}
	for _, id := range ids {
		if _, staged := w.seen[maphash.String(w.seed, id)]; !staged {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// ClockSkew is how far PostgreSQL's clock is ahead of this machine's, less at most
// the time that the question took. SQLite has no other clock than this machine's.
func (s *Store) ClockSkew(ctx context.Context) (time.Duration, error) {
	if s.d != postgres {
		return 0, nil
	}
	var there time.Time
	began := time.Now()
	err := s.query(ctx, "asking the time", "SELECT clock_timestamp()", nil, func(row scan) error { return row(into(&there)) })
	if err != nil {
		return 0, err
	}
	if took := there.Sub(began); took < 0 || there.After(time.Now()) {
		return took, nil
	}
	return 0, nil // between the question and the answer
}
